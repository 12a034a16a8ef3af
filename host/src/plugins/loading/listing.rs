//! What plugins.toml offers, as `cashier modules` shows it: each file is hashed where it lies and opened in the caged probe
//! alone. Nothing is opened in this process and nothing is written, whoever runs the command. The server's own catalog is in
//! `registry`.

use std::path::Path;

use super::copies;
use super::library::LoadError;
use super::module::refused_line;
use super::plugins_toml::{ModuleEntry, ModuleOptions, PluginsToml};
use super::private_folder;
use super::probe::{Loadable, Probe};
use super::registry::{DISABLED, already_served, policy, quarantined};
use crate::plugins::crash::ModuleQuarantine;
use crate::plugins::egress::port::Networks;
use crate::ports::CatalogLine;

/// What listing takes besides plugins.toml.
pub(in crate::plugins) struct ModuleListing<'a> {
    /// Where the server places private copies of modules.
    pub(in crate::plugins) folder: &'a Path,
    pub(in crate::plugins) probe: &'a Probe,
    pub(in crate::plugins) networks: &'a dyn Networks,
    pub(in crate::plugins) quarantine: &'a ModuleQuarantine,
}

impl ModuleListing<'_> {
    /// One line for each entry. Blocks on disk and on one probe process for each.
    pub(in crate::plugins) fn lines(&self, file: PluginsToml) -> Vec<CatalogLine> {
        let mut lines = Vec::new();
        for ModuleEntry { name, options, .. } in file.modules {
            lines.push(match options {
                Ok(options) => self.line(&lines, &name, &options),
                Err(reason) => refused_line(&name, None, None, &LoadError::new(reason)),
            });
        }
        lines
    }

    fn line(&self, before: &[CatalogLine], name: &str, options: &ModuleOptions) -> CatalogLine {
        let path = options.source.path();
        let refused = |error: &LoadError| refused_line(name, Some(&path), Some(options), error);
        let (sha256, loadable) = match self.probed(&path, options) {
            Ok(probed) => probed,
            Err(error) => return refused(&error),
        };
        let Loadable { contract, code, name: shown, hosts } = loadable;
        let taken =
            before.iter().find(|line| *line.code == *code).map(|first| already_served(&code, &first.module_name));
        let opened = taken.map_or_else(|| self.networks.open(policy(&code, &hosts, options)).map(drop), Err);
        if let Err(reason) = opened {
            return refused(&LoadError { contract: Some(contract), ..LoadError::new(reason) });
        }
        CatalogLine {
            code: code.into(),
            name: CatalogLine::text(&shown),
            available: options.enabled,
            refused: false,
            failure_reason: if options.enabled { "" } else { DISABLED }.into(),
            sha256: sha256.into(),
            ..refused(&LoadError { contract: Some(contract), ..LoadError::new("") })
        }
    }

    fn probed(&self, path: &Path, options: &ModuleOptions) -> Result<(String, Loadable), LoadError> {
        options.source.missing().map_or(Ok(()), Err).map_err(LoadError::new)?;
        let original = copies::original(path, options.pin.as_deref()).map_err(LoadError::new)?;
        private_folder::check(self.folder).map_err(LoadError::new)?;
        if let Some(call) = self.quarantine.refuses(&original.sha256) {
            return Err(LoadError { quarantined: original.sha256, ..LoadError::new(quarantined(call)) });
        }
        let loadable = self.probe.check(&original)?;
        Ok((original.sha256, loadable))
    }
}
