//! The modules of one crate: which file each path leads to, followed through imports and re-exports to the file that
//! declares the item. It does not judge what a file may name (`layers.rs`, `circles.rs`).

use std::collections::BTreeMap;

use crate::paths::{Kind, Names, WrittenPath, names};
use crate::source::Source;

/// Where a path leads: the module and the first step that is not a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) module: Vec<String>,
    pub(crate) item: Option<String>,
}

pub(crate) struct Crate {
    pub(crate) files: Vec<(String, Names)>,
    modules: BTreeMap<Vec<String>, Module>,
}

#[derive(Default)]
struct Module {
    file: usize,
    declared: Vec<String>,
    imports: Vec<WrittenPath>,
}

impl Crate {
    /// The crate whose sources lie in this folder.
    pub(crate) fn of(folder: &str, sources: &[Source]) -> Self {
        let (mut files, mut modules) = (Vec::new(), BTreeMap::<Vec<String>, Module>::new());
        let has_library = sources.iter().any(|file| file.path == format!("{folder}/lib.rs"));
        for source in sources {
            let Some(module) = module_of(folder, &source.path, has_library) else { continue };
            let (names, file) = (names(source), files.len());
            modules.entry(module.clone()).or_default().file = file;
            for inline in &names.inline_modules {
                modules.entry([&module[..], inline].concat()).or_default().file = file;
            }
            for (inside, name) in &names.declared {
                modules.entry([&module[..], inside].concat()).or_default().declared.push(name.clone());
            }
            for import in names.paths.iter().filter(|path| path.kind != Kind::InPlace) {
                modules.entry([&module[..], &import.inside].concat()).or_default().imports.push(import.clone());
            }
            files.push((source.path.clone(), names));
        }
        Self { files, modules }
    }

    /// The module that a file is.
    pub(crate) fn module_of_file(&self, file: usize) -> Vec<String> {
        let own = self.modules.iter().filter(|(_, module)| module.file == file);
        own.map(|(path, _)| path.clone()).min_by_key(Vec::len).unwrap_or_default()
    }

    pub(crate) fn file_of(&self, module: &[String]) -> Option<usize> {
        self.modules.get(module).map(|module| module.file)
    }

    /// Whether the module behind a path offers a name to those who glob it.
    pub(crate) fn offers(&self, here: &[String], from: &[String], name: &str) -> bool {
        self.resolve(here, from).is_some_and(|source| self.has(&source, name, &mut Vec::new()))
    }

    fn has(&self, source: &Target, name: &str, seen: &mut Vec<(Vec<String>, String)>) -> bool {
        let Some(module) = self.modules.get(&source.module).filter(|_| source.item.is_none()) else { return false };
        module.declared.iter().any(|declared| declared == name)
            || self.modules.contains_key(&[&source.module[..], &[name.to_owned()]].concat())
            || self.offered(&source.module, name, seen).is_some()
    }

    /// Follows a path written in a module; `None` when it leaves the crate.
    pub(crate) fn resolve(&self, module: &[String], steps: &[String]) -> Option<Target> {
        self.follow(module, steps, &mut Vec::new())
    }

    fn follow(&self, here: &[String], steps: &[String], seen: &mut Vec<(Vec<String>, String)>) -> Option<Target> {
        let (mut place, mut rest) = match steps.first()?.as_str() {
            "crate" => (Vec::new(), &steps[1..]),
            "self" => (here.to_vec(), &steps[1..]),
            "super" => (here.to_vec(), steps),
            // A relative path begins at a child module or at an imported name.
            first => {
                let child = self.modules.contains_key(&[here, &[first.to_owned()]].concat());
                if !child && self.offered(here, first, &mut seen.clone()).is_none() {
                    return None;
                }
                (here.to_vec(), steps)
            }
        };
        while let Some((step, behind)) = rest.split_first() {
            let child = [&place[..], std::slice::from_ref(step)].concat();
            let is_last_and_item = behind.is_empty() && self.modules.get(&place)?.declared.contains(step);
            if step == "super" {
                place.pop();
            } else if self.modules.contains_key(&child) && !is_last_and_item {
                place = child;
            } else if let Some(mut path) = self.offered(&place, step, seen) {
                path.extend_from_slice(behind);
                return self.follow(&place, &path, seen);
            } else if self.imports(&place).any(|import| import.alias.as_ref() == Some(step))
                && !self.modules.get(&place)?.declared.contains(step)
            {
                // An import that leaves the crate, or one that is being followed.
                return None;
            } else {
                return Some(Target { module: place, item: Some(step.clone()) });
            }
            rest = behind;
        }
        Some(Target { module: place, item: None })
    }

    /// The path behind a name that a module imports from within the crate, by name or by a glob.
    fn offered(&self, module: &[String], name: &str, seen: &mut Vec<(Vec<String>, String)>) -> Option<Vec<String>> {
        let key = (module.to_vec(), name.to_owned());
        if seen.contains(&key) {
            return None;
        }
        seen.push(key);
        let named = self.imports(module).find(|import| import.alias.as_deref() == Some(name));
        if let Some(import) = named {
            return self.follow(module, &import.steps, &mut seen.clone()).map(|_| import.steps.clone());
        }
        self.imports(module).filter(|import| import.alias.is_none()).find_map(|glob| {
            let from = &glob.steps[..glob.steps.len() - 1];
            let source = self.follow(module, from, &mut seen.clone())?;
            self.has(&source, name, &mut seen.clone()).then(|| [from, &[name.to_owned()]].concat())
        })
    }

    fn imports(&self, module: &[String]) -> impl Iterator<Item = &WrittenPath> {
        self.modules.get(module).into_iter().flat_map(|module| &module.imports)
    }
}

/// The module that a file is; `None` for a program beside a library, which is a crate of its own.
fn module_of(folder: &str, path: &str, has_library: bool) -> Option<Vec<String>> {
    let inside = path.strip_prefix(folder)?.trim_start_matches('/').trim_end_matches(".rs");
    match inside {
        "lib" => Some(Vec::new()),
        "main" => (!has_library).then(Vec::new),
        program if program.starts_with("bin/") => None,
        module => Some(module.trim_end_matches("/mod").split('/').map(str::to_owned).collect()),
    }
}

#[test]
fn a_path_is_followed_to_the_file_that_declares_the_item() {
    let sources = [
        ("src/lib.rs", "mod flows; mod calling; pub use calling::Gateway; pub use settings::*; mod settings;"),
        ("src/settings.rs", "pub struct Settings; pub use std::time::Duration;"),
        ("src/flows/mod.rs", "pub mod deposit; use crate::calling::{self, gateway as by_gateway}; pub struct Cashier;"),
        ("src/flows/deposit.rs", "mod refs { pub struct Inner; } pub fn open() {}"),
        (
            "src/calling.rs",
            "pub mod gateway; pub use self::gateway::Gateway; pub(crate) use made; macro_rules! made {}",
        ),
        ("src/calling/gateway.rs", "pub struct Gateway;"),
    ];
    let sources: Vec<Source> = sources.iter().map(|(path, text)| Source::of(path, text)).collect();
    let all = Crate::of("src", &sources);
    let table = [
        ("flows::deposit", "super::Cashier", "src/flows/mod.rs Cashier"),
        ("flows::deposit", "crate::flows::Cashier::new", "src/flows/mod.rs Cashier"),
        ("flows::deposit", "crate::Gateway", "src/calling/gateway.rs Gateway"),
        ("flows::deposit", "crate::calling::Gateway::open", "src/calling/gateway.rs Gateway"),
        ("flows::deposit", "crate::Settings", "src/settings.rs Settings"),
        ("flows::deposit", "crate::calling::made", "src/calling.rs made"),
        ("flows::deposit", "refs::Inner", "src/flows/deposit.rs Inner"),
        ("flows::deposit", "super::calling::Gateway", "src/calling/gateway.rs Gateway"),
        ("flows", "deposit::open", "src/flows/deposit.rs open"),
        ("flows", "by_gateway::Gateway", "src/calling/gateway.rs Gateway"),
        ("flows", "crate::calling::gateway", "src/calling/gateway.rs -"),
        ("flows", "std::fmt::Display", "elsewhere"),
        ("flows", "crate::settings::Duration", "elsewhere"),
    ];
    for (module, path, expected) in table {
        let split = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
        let target = all.resolve(&split(module), &split(path));
        let found = target.map_or("elsewhere".to_owned(), |target| {
            let file = all.file_of(&target.module).expect("a module has a file");
            format!("{} {}", all.files[file].0, target.item.as_deref().unwrap_or("-"))
        });
        assert_eq!(found, expected, "{path} in {module}");
    }
}
