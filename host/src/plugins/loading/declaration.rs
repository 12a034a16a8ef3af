//! A module's descriptor as managers read it: its texts escaped, its codes by name. It knows no file and no catalog.

use cashier_provider_sdk::{Capabilities, Descriptor, SettingKind, SettingSpec};

use crate::ports::{CatalogLine, ModuleDeclaration, ModuleSetting};

/// What a module declares that was loaded then (Unix seconds).
pub(super) fn declaration(descriptor: &Descriptor, loaded_time: i64) -> ModuleDeclaration {
    ModuleDeclaration {
        version: CatalogLine::text(&descriptor.version),
        loaded_time,
        capabilities: capabilities(descriptor.capabilities),
        hosts: shown(&descriptor.hosts),
        settings: descriptor.settings.iter().map(setting).collect(),
        webhook_events: shown(&descriptor.webhook_events),
    }
}

fn capabilities(declared: Capabilities) -> Vec<&'static str> {
    let Capabilities { advance, query, cancel, refund, partial_refund } = declared;
    let named = [
        (advance, "advance"),
        (query, "query"),
        (cancel, "cancel"),
        (refund, "refund"),
        (partial_refund, "partial_refund"),
    ];
    named.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
}

fn setting(spec: &SettingSpec) -> ModuleSetting {
    let (kind, choices) = match &spec.kind {
        SettingKind::Text => ("text", Vec::new()),
        SettingKind::Integer => ("integer", Vec::new()),
        SettingKind::Flag => ("flag", Vec::new()),
        SettingKind::Url => ("url", Vec::new()),
        SettingKind::Choice(choices) => ("choice", shown(choices)),
    };
    ModuleSetting {
        key: CatalogLine::text(&spec.key),
        label: CatalogLine::text(&spec.label),
        kind,
        choices,
        secret: spec.secret,
        required: spec.required,
        endpoint: spec.endpoint,
        // A secret has none; one that states it all the same is not shown.
        default: spec.default.as_deref().filter(|_| !spec.secret).map(CatalogLine::text),
    }
}

fn shown(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| CatalogLine::text(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_has_every_capability_and_kind_by_name_and_no_default_of_a_secret() {
        let spec = |key: &str, kind, secret, default: Option<&str>| SettingSpec {
            kind,
            secret,
            default: default.map(Into::into),
            ..SettingSpec::text(key, "La\u{202e}bel")
        };
        let descriptor = Descriptor {
            version: "1.2.3".into(),
            capabilities: Capabilities { advance: true, query: true, cancel: true, refund: true, partial_refund: true },
            hosts: vec!["api.example".into()],
            settings: vec![
                spec("a", SettingKind::Text, true, Some("CANARY")),
                spec("b", SettingKind::Integer, false, Some("5")),
                spec("c", SettingKind::Flag, false, None),
                spec("d", SettingKind::Url, false, None),
                spec("e", SettingKind::Choice(vec!["x".into(), "y".into()]), false, None),
            ],
            webhook_events: vec!["paid".into()],
            ..Descriptor::default()
        };
        let declared = declaration(&descriptor, 9);
        assert_eq!(declared.capabilities, ["advance", "query", "cancel", "refund", "partial_refund"]);
        let of = |name: fn(&ModuleSetting) -> String| declared.settings.iter().map(name).collect::<Vec<_>>().join(" ");
        assert_eq!(of(|setting| setting.kind.to_owned()), "text integer flag url choice");
        assert_eq!(of(|setting| format!("{:?}", setting.default)), "None Some(\"5\") None None None");
        assert_eq!(declared.settings[4].choices, ["x".into(), "y".into()]);
        assert!(declared.settings.iter().all(|setting| &*setting.label == "La\\u{202e}bel"), "{declared:?}");
        assert_eq!((&*declared.version, declared.loaded_time), ("1.2.3", 9));
        assert_eq!((declared.hosts, declared.webhook_events), (vec!["api.example".into()], vec!["paid".into()]));
        assert!(!format!("{:?}", declared.settings).contains("CANARY"));
    }
}
