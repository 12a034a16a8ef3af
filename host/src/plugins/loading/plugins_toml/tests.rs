//! plugins.toml: what is read, and that what is wrong is named with its line and place.

use super::*;

fn read(text: &str) -> Result<PluginsToml, String> {
    PluginsToml::parse(text, Path::new("/etc/cashier"), &[PathBuf::from("/opt/modules")])
}

fn reasons(text: &str) -> Vec<String> {
    let entries = read(text).unwrap().modules;
    entries.into_iter().filter_map(|entry| entry.options.err()).collect()
}

#[test]
fn an_entry_is_read_in_full_and_its_paths_start_at_the_files_folder() {
    let file = read(concat!(
        "folders = [\"modules\"]\n",
        "[[module]]\nname = \"stripe\"\nbrands = [\"acme\"]\nallow_hosts = [\"mock:8443\"]\n",
        "[module.limits]\ncall_ms = 500\n",
        "[[module]]\nfile = \"../x/liby.so\"\nenabled = false\nisolation = \"in-process\"\n",
    ))
    .unwrap();
    let [stripe, other] = file.modules.as_slice() else { panic!("{file:?}") };
    let options = stripe.options.as_ref().unwrap();
    assert_eq!((stripe.line, stripe.name.as_str()), (2, "stripe"));
    let ModuleSource::Named { file_name, folders } = &options.source else { panic!("{options:?}") };
    assert_eq!(*file_name, library_file_name("stripe"));
    assert_eq!(*folders, [PathBuf::from("/etc/cashier/modules"), PathBuf::from("/opt/modules")]);
    assert_eq!(options.brands, Some(vec!["acme".to_owned()]));
    assert_eq!(options.limits.call, Duration::from_millis(500));
    assert_eq!(options.limits.exchange, GatewayLimits::default().exchange);
    let options = other.options.as_ref().unwrap();
    assert_eq!((other.line, other.name.as_str(), options.enabled), (8, "liby", false));
    assert_eq!(options.source, ModuleSource::File("/etc/cashier/../x/liby.so".into()));
    assert_eq!((&options.brands, &options.pin), (&None, &None));
}

#[test]
fn a_wrong_entry_is_refused_alone_with_its_line_and_name() {
    let good = "[[module]]\nname = \"stripe\"\n";
    let table = [
        ("name = \"x\"\nisolation = \"worker\"", "isolation \"worker\" is not offered by this build"),
        ("name = \"x\"\nisolation = \"vm\"", "isolation \"vm\" is unknown"),
        ("name = \"x\"\nbrnads = []", "unknown field `brnads`"),
        ("name = \"x\"\nsha256 = \"abc\"", "sha256 must be 64 hexadecimal digits"),
        ("name = \"x\"\nbrands = [\"\"]", "brands has an empty entry"),
        ("name = \"x\"\nenabled = \"yes\"", "invalid type"),
        ("name = \"x\"\nlimits = { steps_max = 0 }", "steps_max"),
        ("name = \"../x\"", "must be the name of a library"),
        ("enabled = true", "neither `file` nor `name`"),
    ];
    for (body, expected) in table {
        let text = format!("{good}[[module]]\n{body}\n{good}");
        let reasons = reasons(&text);
        let [reason] = reasons.as_slice() else { panic!("{body}: {reasons:?}") };
        assert!(reason.starts_with("plugins.toml line ") && reason.contains(expected), "{reason}");
    }
}

#[test]
fn i5_a_wrong_key_of_an_entry_is_named_with_its_line() {
    let before = "\n[[module]]\nname = \"stripe\"\n\n[[module]]\nname = \"x\"\n";
    for (lines, expected) in [
        (
            "enabled = \"yes\"",
            "plugins.toml line 7, module x: enabled: invalid type: string \"yes\", expected a boolean",
        ),
        ("# no\nsha256 = \"abc\"", "plugins.toml line 8, module x: sha256 must be"),
        ("[module.limits]\n\nsteps_max = 0", "plugins.toml line 9, module x: "),
        ("brnads = []", "plugins.toml line 7, module x: unknown field `brnads`"),
        ("allow_hosts = [\" \"]", "plugins.toml line 7, module x: allow_hosts has an empty entry"),
    ] {
        let reasons = reasons(&format!("{before}{lines}\n"));
        assert!(reasons.len() == 1 && reasons[0].starts_with(expected), "{lines}: {reasons:?}");
    }
    assert!(read("folders = [\"\"]").unwrap_err().starts_with("folders has an empty entry"));
    assert!(read("[[module]]\nname = \"x\"\nname = \"y\"").unwrap_err().starts_with("line 3: duplicate key"));
}

#[test]
fn i14_a_file_that_is_not_there_is_named_with_the_command_that_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    let error = PluginsToml::read(&path, &[]).unwrap_err();
    assert!(
        error.starts_with(&format!("there is no {}: ", path.display())) && error.contains("printf '[[module]]"),
        "{error}"
    );
    let command = error.lines().nth(1).unwrap();
    assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success());
    assert_eq!(PluginsToml::read(&path, &[]).unwrap().modules.len(), 1);
}

#[test]
fn i4_the_list_of_modules_is_read_whatever_editor_saved_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    std::fs::write(&path, "\u{feff}[[module]]\r\nname = \" stripe \"\r\nallow_private = [\"127.0.0.1:8900\\n\"]")
        .unwrap();
    let file = PluginsToml::read(&path, &[]).unwrap();
    let [entry] = file.modules.as_slice() else { panic!("{file:?}") };
    let options = entry.options.as_ref().unwrap();
    assert_eq!((entry.name.as_str(), &options.allow_private), ("stripe", &vec!["127.0.0.1:8900".to_owned()]));
    let ModuleSource::Named { file_name, .. } = &options.source else { panic!("{options:?}") };
    assert_eq!(*file_name, library_file_name("stripe"));
    std::fs::write(&path, b"\xfe\xff\0[").unwrap();
    assert!(
        PluginsToml::read(&path, &[]).unwrap_err().ends_with("begins with a UTF-16 byte order mark: save it as UTF-8")
    );
}

#[test]
fn i12_a_file_that_is_not_there_is_named_with_the_places_where_it_was_looked_for() {
    let missing = |text: &str| {
        let file = read(text).unwrap();
        file.modules[0].options.as_ref().unwrap().source.missing().unwrap()
    };
    assert_eq!(missing("[[module]]\nfile = \"lib/x.so\""), "the file does not exist: /etc/cashier/lib/x.so");
    let name = library_file_name("x");
    assert_eq!(
        missing("folders = [\"own\"]\n[[module]]\nname = \"x\""),
        format!(
            "the file does not exist: {name} was looked for in /etc/cashier/own and /opt/modules; put it there, or name it by `file`"
        )
    );
}

#[test]
fn a_file_that_is_not_a_list_of_modules_is_refused_with_the_line() {
    let table = [
        ("[[module]]\nname = \"x\n", "line 2:"),
        ("[[modul]]\nname = \"x\"\n", "line 1: unknown field `modul`"),
        ("\n\nmodule = 7\n", "line 3:"),
    ];
    for (text, expected) in table {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(read("").unwrap(), PluginsToml::default());
}
