//! The one reader of what a person saved, typed or exported: settings, key files, rosters, certificates, values of the
//! environment. A byte order mark is taken off, blanks around a value are nothing, and what cannot be text is named by its
//! line. What a text means is for those that ask.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

/// The UTF-8 byte order mark that some editors write before everything else.
const MARK: char = '\u{feff}';

/// Size of a settings file or `plugins.toml`: the longest lists allowed take a tenth of it.
const SETTINGS_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Size of a PEM file: a chain takes a hundredth of it.
const PEM_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The lines of a PEM file without blanks around them. Comments between certificates may be in any encoding.
pub(crate) fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |what: String| format!("{}: {what}", path.display());
    let bytes = Zeroizing::new(open_file(path).and_then(|file| read(file, PEM_FILE_BYTES_MAX)).map_err(failed)?);
    let text = without_mark(&bytes).map_err(|what| format!("{}: {what}", path.display()))?;
    let mut lines = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(1)));
    for line in text.split(|byte| *byte == b'\n') {
        lines.extend_from_slice(line.trim_ascii());
        lines.push(b'\n');
    }
    Ok(lines)
}

/// The text of a settings file. The error names the file; the content of no file is ever part of it.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    read_text_up_to(path, SETTINGS_FILE_BYTES_MAX)
}

/// The text of what a person names to a command, which may be a pipe, of at most so many bytes.
pub(crate) fn read_text_up_to(path: &Path, bytes_max: u64) -> Result<String, String> {
    let text = File::open(path).map_err(|error| error.to_string()).and_then(|file| read(file, bytes_max));
    text.and_then(into_text).map_err(|what| format!("{}: {what}", path.display()))
}

/// The text of a file that the program reads unasked: a pipe or a device is none, and nothing is waited for.
pub(crate) fn read_file_up_to(path: &Path, bytes_max: u64) -> Result<Zeroizing<String>, String> {
    let text = open_file(path).and_then(|file| read(file, bytes_max)).and_then(into_text);
    text.map(Zeroizing::new).map_err(|what| format!("{}: {what}", path.display()))
}

/// Links are followed, as containers mount files.
fn open_file(path: &Path) -> Result<File, String> {
    let mut options = File::options();
    options.read(true);
    // Opening a pipe would wait for its writer.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| error.to_string())?;
    match file.metadata() {
        Ok(about) if about.is_file() => Ok(file),
        Ok(_) => Err("it is not a file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn read(file: File, bytes_max: u64) -> Result<Vec<u8>, String> {
    // Of its final size from the start: a buffer that grows would leave copies of a key behind.
    let size = file.metadata().map_or(0, |about| about.len()).min(bytes_max);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("is over {bytes_max} bytes"));
    }
    Ok(bytes)
}

/// The text that bytes are, without its byte order mark, or why they are none.
pub(crate) fn into_text(bytes: Vec<u8>) -> Result<String, String> {
    without_mark(&bytes)?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
        // The bytes may be a key: they are wiped with the error.
        drop(Zeroizing::new(error.into_bytes()));
        format!("line {line} is not UTF-8: save it as UTF-8")
    })?;
    if let Some(at) = text.find('\0') {
        return Err(format!("line {} has a NUL character: save it as UTF-8 text", line_at(text.as_bytes(), at)));
    }
    let marks = text.len() - text.trim_start_matches(MARK).len();
    text.drain(..marks);
    Ok(text)
}

/// The bytes of a text that somebody sends, without the byte order mark before them, or why they are no UTF-8 text.
pub(crate) fn without_mark(mut bytes: &[u8]) -> Result<&[u8], &'static str> {
    // Anyone may send as many of them as a body has bytes.
    while let [0xef, 0xbb, 0xbf, rest @ ..] = bytes {
        bytes = rest;
    }
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err("begins with a UTF-16 byte order mark: save it as UTF-8"),
        _ => Ok(bytes),
    }
}

/// A value without the blanks, line ends and byte order marks around it.
pub(crate) fn trimmed(value: &str) -> &str {
    value.trim_matches(|character: char| character.is_whitespace() || character == MARK)
}

/// The line, from 1, in which a byte stands.
pub(crate) fn line_at(text: &[u8], at: usize) -> usize {
    text.get(..at).unwrap_or(text).iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The value of an environment variable; one that is blank is not set. What is not UTF-8 in it is shown as U+FFFD, which no
/// reader takes for a part of a value.
pub(crate) fn environment(variable: &str) -> Option<String> {
    let value = std::env::var_os(variable)?.to_string_lossy().into_owned();
    (!trimmed(&value).is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i4_a_text_is_the_same_with_and_without_a_byte_order_mark() {
        for marks in ["", "\u{feff}", "\u{feff}\u{feff}"] {
            assert_eq!(into_text(format!("{marks}1:aa\r\n").into_bytes()).unwrap(), "1:aa\r\n");
        }
        assert_eq!(trimmed("\u{feff} \t a b\u{a0}\r\n"), "a b");
        assert_eq!(without_mark(b"\xef\xbb\xbf{}").unwrap(), b"{}");
        let marks = format!("{}{{}}", MARK.to_string().repeat(350_000));
        assert_eq!(without_mark(marks.as_bytes()).unwrap(), b"{}", "as many as a body may have");
        assert_eq!(into_text(marks.into_bytes()).unwrap(), "{}");
    }

    #[test]
    fn i4_what_is_no_text_is_named_with_its_line() {
        let table: [(&[u8], &str); 5] = [
            (b"\xff\xfe1\0:\0", "begins with a UTF-16 byte order mark: save it as UTF-8"),
            (b"\xfe\xff\x001", "begins with a UTF-16 byte order mark: save it as UTF-8"),
            (b"1\0:\0a\0", "line 1 has a NUL character: save it as UTF-8 text"),
            (b"a\nb\n\xe4", "line 3 is not UTF-8: save it as UTF-8"),
            (b"\xff", "line 1 is not UTF-8: save it as UTF-8"),
        ];
        for (bytes, problem) in table {
            assert_eq!(into_text(bytes.to_vec()).unwrap_err(), problem);
        }
    }

    #[cfg(unix)]
    #[test]
    fn k2_what_is_no_file_is_neither_waited_for_nor_read_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [&*pipe, Path::new("/dev/zero"), folder.path()] {
            for error in [read_file_up_to(path, 100).unwrap_err(), read_pem(path).unwrap_err()] {
                assert_eq!(error, format!("{}: it is not a file", path.display()));
            }
        }
        assert!(read_text(Path::new("/dev/zero")).unwrap_err().ends_with("is over 1048576 bytes"));
        let long = folder.path().join("long.pem");
        std::fs::write(&long, vec![b'\n'; 1024 * 1024 + 1]).unwrap();
        assert!(read_pem(&long).unwrap_err().ends_with("is over 1048576 bytes"));
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_named_in_every_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let absent = read_text(&path).unwrap_err();
        assert!(absent.starts_with(&path.display().to_string()), "{absent}");
        std::fs::write(&path, "\u{feff}12345").unwrap();
        assert_eq!(read_text_up_to(&path, 8).unwrap(), "12345");
        assert!(read_text_up_to(&path, 7).unwrap_err().ends_with("is over 7 bytes"));
    }
}
