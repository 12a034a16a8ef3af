//! One entry of an import file, read field by field: each mistake is noted under its field and reading goes on, so that
//! all of them are told at once. Numbers are read from their text.

use cashier_core::ids::ID_MAX;
use cashier_core::lengths::CODE_LENGTH_MAX;
use serde_json::value::RawValue;

use crate::json_object::Members;

/// The fields of one entry, each taken once; what is left over is unknown.
pub(super) struct Fields<'a> {
    left: Vec<(String, &'a RawValue)>,
    mistakes: Vec<(Box<str>, String)>,
    is_object: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn new(raw: &'a RawValue) -> Self {
        match serde_json::from_str::<Members<'a>>(raw.get()) {
            Ok(Members(left)) => Self { left, mistakes: Vec::new(), is_object: true },
            Err(_) => Self {
                left: Vec::new(),
                mistakes: vec![(Box::default(), "must be an object".into())],
                is_object: false,
            },
        }
    }

    /// Notes a mistake; always false, to end a chain of conditions with.
    pub(super) fn mistake(&mut self, field: &str, problem: &str) -> bool {
        self.mistakes.push((field.into(), problem.into()));
        false
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(known, _)| known == name)
    }

    pub(super) fn read<T>(&mut self, name: &str, must_be: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if !self.is_object {
            return None;
        }
        let Some(place) = self.left.iter().position(|(known, _)| known == name) else {
            self.mistake(name, "is missing");
            return None;
        };
        let (_, raw) = self.left.remove(place);
        let value = read(raw.get());
        if value.is_none() {
            self.mistake(name, &format!("must be {must_be}"));
        }
        value
    }

    pub(super) fn text(&mut self, name: &str) -> Option<Box<str>> {
        self.read(name, "a text of at most 64 characters", |raw| {
            let text: Box<str> = serde_json::from_str(raw).ok()?;
            (text.chars().count() <= CODE_LENGTH_MAX).then_some(text)
        })
    }

    pub(super) fn id(&mut self, name: &str) -> Option<u64> {
        self.read(name, "a whole number from 1 to 2^53 - 1", |raw| {
            serde_json::from_str(raw).ok().filter(|id| (1..=ID_MAX).contains(id))
        })
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, "0 or 1", |raw| match raw {
            "0" | "false" => Some(false),
            "1" | "true" => Some(true),
            _ => None,
        })
    }

    /// The text of a number as it stands in the file.
    pub(super) fn number(&mut self, name: &str) -> Option<Box<str>> {
        self.read(name, "a plain decimal number, not quoted", |raw| {
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            plain(raw.strip_prefix('-').unwrap_or(raw)).then(|| raw.into())
        })
    }

    pub(super) fn finish(mut self) -> Vec<(Box<str>, String)> {
        let left = self.left.into_iter();
        self.mistakes.extend(left.map(|(name, _)| (name.into(), "is unknown or stands there twice".into())));
        self.mistakes
    }
}
