//! A complete module whose constructor, in the probe alone, reaches for what a module may not have. A test writes into the
//! file what it reaches for; where it succeeds, the process ends with code 77.

use cashier_provider_sdk::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderConfig, Step,
    WebhookNotice, WebhookVerdict,
};

struct ReachesOut;

impl PaymentProvider for ReachesOut {
    fn descriptor() -> Descriptor {
        Descriptor { code: "reaches_out".into(), name: "ReachesOut".into(), ..Descriptor::default() }
    }

    fn configure(_config: &ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn create_payment(&self, _order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        Step::Unsupported
    }

    fn normalize_status(&self, _notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        Step::Unsupported
    }
}

/// Replaced in the file: a word and its argument, padded with blanks.
#[used]
static ACTION: [u8; 160] = {
    let mut text = [b' '; 160];
    let mark = b"reaches-out:";
    let mut at = 0;
    while at < mark.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            text[at] = mark[at];
        }
        at += 1;
    }
    text
};

#[cfg(target_os = "linux")]
fn reach() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::{Read, Write};
    use std::os::unix::process::parent_id;
    // Not what the compiler knows, but what stands in the file.
    let action = std::hint::black_box(&ACTION);
    let text = std::str::from_utf8(action)?.trim_start_matches("reaches-out:").trim();
    let (what, argument) = text.split_once(' ').unwrap_or((text, ""));
    match what {
        "environment" => drop(std::fs::read(format!("/proc/{}/environ", parent_id()))?),
        "memory" => drop(std::fs::File::open(format!("/proc/{}/mem", parent_id()))?),
        "read" => drop(std::fs::read(argument)?),
        "write" => std::fs::write(argument, "written")?,
        "append" => drop(std::fs::OpenOptions::new().append(true).open(argument)?),
        "remove" => std::fs::remove_file(argument)?,
        "rename" => std::fs::rename(argument, format!("{argument}.moved"))?,
        "folder" => std::fs::create_dir(argument)?,
        "connect" => drop(std::net::TcpStream::connect(argument)?),
        "datagram" => drop(std::net::UdpSocket::bind("127.0.0.1:0")?),
        "process" => drop(std::process::Command::new("/bin/sh").arg("-c").arg(argument).spawn()?),
        // A file that the process was started with, by its number.
        "inherited" => {
            use std::os::fd::FromRawFd;
            #[expect(unsafe_code, reason = "a constructor may take any descriptor for its own")]
            // SAFETY: none: this is what a module must not be able to do.
            let file = unsafe { std::fs::File::from_raw_fd(argument.parse()?) };
            // Closing one that is not there would end the process.
            let mut file = std::mem::ManuallyDrop::new(file);
            file.write_all(b"written")?;
        }
        // The kernel then sends the parent a signal when standard input may be read.
        "owner" => {
            #[expect(unsafe_code, reason = "the C library's function")]
            unsafe extern "C" {
                safe fn fcntl(descriptor: i32, command: i32, argument: i32) -> i32;
            }
            const F_SETOWN: i32 = 8;
            let parent = i32::try_from(parent_id())?;
            if fcntl(0, F_SETOWN, parent) != 0 {
                return Err(std::io::Error::last_os_error().into());
            }
        }
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(3_600)),
        "thread" => std::thread::Builder::new().spawn(|| ())?.join().map_err(|_| "panicked")?,
        // What a probe printed that trusted its output, and what a guess at the token would print.
        "mark" => {
            let mut read = String::new();
            let _ = std::io::stdin().read_to_string(&mut read);
            let answer = r#"{"loadable":{"contract":1,"sdk_version":"","code":"reaches_out"}}"#;
            let mut out = std::io::stdout();
            writeln!(out, "\ncashier-module-probe {answer}\n{read} {answer}\n{answer}")?;
            std::process::exit(0);
        }
        _ => return Err("nothing to reach for".into()),
    }
    Ok(())
}

#[cfg(target_os = "linux")]
const _: () = {
    fn probed() -> bool {
        std::env::args().any(|argument| argument == "module-probe")
    }

    extern "C" fn constructor() {
        if probed() && reach().is_ok() {
            std::process::exit(77);
        }
    }

    /// Never returns in the cashier, where the file says so.
    extern "C" fn destructor() {
        let action = std::str::from_utf8(std::hint::black_box(&ACTION)).unwrap_or_default();
        if action.starts_with("reaches-out:hang") && !probed() {
            std::thread::sleep(std::time::Duration::from_secs(3_600));
        }
    }

    #[used]
    #[expect(unsafe_code, reason = "a constructor is a function pointer in a section the loader runs")]
    #[unsafe(link_section = ".init_array")]
    static CONSTRUCTOR: extern "C" fn() = constructor;

    #[used]
    #[expect(unsafe_code, reason = "a destructor is a function pointer in a section that an exit runs")]
    #[unsafe(link_section = ".fini_array")]
    static DESTRUCTOR: extern "C" fn() = destructor;
};

cashier_provider_sdk::export_provider!(ReachesOut);
