//! The program: prints its address and help, stops on a signal, and prints no secret.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::fixture::{API_KEY, WEBHOOK_SECRET};

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cashier-sandbox-service"));
    program.env_remove("SANDBOX_API_KEY").env("RUST_LOG", "trace");
    program
}

fn secret_file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn all_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn it_prints_its_address_answers_and_stops() {
    let file = secret_file("program-secret", &format!("{WEBHOOK_SECRET}\n"));
    let mut running = program()
        .args(["--listen", "127.0.0.1:0", "--api-key", API_KEY, "--webhook-secret-file"])
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.trim().strip_prefix("listening on http://").unwrap();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");

    #[cfg(unix)]
    {
        let killed = Command::new("kill").arg(running.id().to_string()).status().unwrap();
        assert!(killed.success());
        let output = running.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", all_of(&output));
        assert!(!all_of(&output).contains("canary"), "{}", all_of(&output));
    }
    #[cfg(not(unix))]
    running.kill().unwrap();
}

#[test]
fn it_ends_with_its_input_where_that_is_asked() {
    let file = secret_file("program-secret-3", WEBHOOK_SECRET);
    let mut running = program()
        .args(["--listen", "127.0.0.1:0", "--api-key", API_KEY, "--end-with-input", "--webhook-secret-file"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(running.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on http://"), "{line}");
    assert!(running.try_wait().unwrap().is_none());
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
}

#[test]
fn help_names_options_and_examples() {
    let output = program().arg("--help").env("SANDBOX_API_KEY", API_KEY).output().unwrap();
    let help = all_of(&output);
    for expected in ["--listen", "--webhook-secret-file", "--default-switch", "curl ", "/_control/switches"] {
        assert!(help.contains(expected), "{expected} in {help}");
    }
    assert!(!help.contains("canary"), "{help}");
}

#[test]
fn a_failed_start_prints_the_reason() {
    let file = secret_file("program-secret-2", WEBHOOK_SECRET);
    let file = file.to_str().unwrap();
    let empty = secret_file("program-secret-empty", "\n");
    let empty = empty.to_str().unwrap();
    let table: &[(&[&str], &str)] = &[
        (&["--webhook-secret-file", file], "--api-key"),
        (&["--api-key", API_KEY, "--webhook-secret-file", empty], "webhook secret is empty"),
        (&["--api-key", API_KEY, "--webhook-secret-file", "/nonexistent"], "/nonexistent"),
        (&["--api-key", API_KEY, "--webhook-secret-file", file, "--listen", "0.0.0.0:0"], "--allow-remote-listen"),
        (&["--api-key", API_KEY, "--webhook-secret-file", file, "--default-switch", "nonsense"], "nonsense"),
    ];
    for (arguments, why) in table {
        let output = program().args(*arguments).output().unwrap();
        assert!(!output.status.success());
        assert!(all_of(&output).contains(why), "{why} in {}", all_of(&output));
        assert!(!all_of(&output).contains("canary"), "{}", all_of(&output));
    }
}
