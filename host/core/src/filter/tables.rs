//! The filterable fields of each record, with the rows they are read from (API.md sections 3, 4 and 6).

use super::model::{Field, Kind, Row, Value};
use crate::customer_override::CustomerOverride;
use crate::notice::ProviderEvent;
use crate::provider_config::ProviderConfig;
use crate::transaction::Transaction;

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $kind:ident $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)* }

        impl Field for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];
            const ID: Self = Self::Id;
            const CREATED: Self = Self::CreatedTime;

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }
        }
    )*};
}

fields! {
    /// Fields of transactions, the same for customers and managers.
    TransactionField {
        Id = Int "id",
        CustomerId = Int "customer_id",
        Login = Int "login",
        Type = Int "type",
        Status = Int "status",
        Source = Int "source",
        Provider = Text "provider",
        Method = Text "method",
        Currency = Text "currency",
        ProviderPaymentId = Text "provider_payment_id",
        ApprovedTime = Int "approved_time",
        ProcessedTime = Int "processed_time",
        CreatedTime = Int "created_time",
    }
    /// Fields of provider configs; flags are 0 and 1.
    ConfigField {
        Id = Int "id",
        Provider = Text "provider",
        Brand = Text "brand",
        Method = Text "method",
        Country = Text "country",
        Currency = Text "currency",
        MerchantId = Text "merchant_id",
        Sandbox = Int "sandbox",
        Enabled = Int "enabled",
        SortIndex = Int "sort_index",
        CreatedTime = Int "created_time",
        UpdatedTime = Int "updated_time",
    }
    /// Fields of customer overrides; flags are 0 and 1.
    OverrideField {
        Id = Int "id",
        CustomerId = Int "customer_id",
        Brand = Text "brand",
        Provider = Text "provider",
        ProviderConfigId = Int "provider_config_id",
        Method = Text "method",
        Mode = Int "mode",
        Enabled = Int "enabled",
        ExpiresTime = Int "expires_time",
        CreatedTime = Int "created_time",
        UpdatedTime = Int "updated_time",
    }
    /// Fields of provider events.
    EventField {
        Id = Int "id",
        Provider = Text "provider",
        EventId = Text "event_id",
        TransactionId = Int "transaction_id",
        ProviderPaymentId = Text "provider_payment_id",
        SignatureStatus = Int "signature_status",
        ProcessingStatus = Int "processing_status",
        CreatedTime = Int "created_time",
        ProcessedTime = Int "processed_time",
    }
}

impl Row<TransactionField> for Transaction {
    fn value(&self, field: TransactionField) -> Value<'_> {
        use TransactionField as F;
        match field {
            F::Id => Value::id(self.id.0),
            F::CustomerId => Value::id(self.customer_id.0),
            F::Login => Value::id(self.login.0),
            F::Type => Value::Int(self.kind.number().into()),
            F::Status => Value::Int(self.status.number().into()),
            F::Source => Value::Int(self.source.number().into()),
            F::Provider => Value::Text(&self.provider),
            F::Method => Value::Text(&self.method),
            F::Currency => Value::Text(self.amount.currency.code()),
            F::ProviderPaymentId => Value::Text(&self.provider_payment_id),
            F::ApprovedTime => Value::Int(self.approved_time.0),
            F::ProcessedTime => Value::Int(self.processed_time.0),
            F::CreatedTime => Value::Int(self.created_time.0),
        }
    }
}

impl Row<ConfigField> for ProviderConfig {
    fn value(&self, field: ConfigField) -> Value<'_> {
        use ConfigField as F;
        match field {
            F::Id => Value::id(self.id.0),
            F::Provider => Value::Text(&self.provider),
            F::Brand => Value::Text(&self.brand),
            F::Method => Value::Text(&self.method),
            F::Country => Value::Text(&self.country),
            F::Currency => Value::Text(&self.currency),
            F::MerchantId => Value::Text(&self.merchant_id),
            F::Sandbox => Value::Int(self.sandbox.into()),
            F::Enabled => Value::Int(self.enabled.into()),
            F::SortIndex => Value::Int(self.sort_index),
            F::CreatedTime => Value::Int(self.created_time.0),
            F::UpdatedTime => Value::Int(self.updated_time.0),
        }
    }
}

impl Row<OverrideField> for CustomerOverride {
    fn value(&self, field: OverrideField) -> Value<'_> {
        use OverrideField as F;
        match field {
            F::Id => Value::id(self.id.0),
            F::CustomerId => Value::id(self.customer_id.0),
            F::Brand => Value::Text(&self.brand),
            F::Provider => Value::Text(&self.provider),
            F::ProviderConfigId => Value::id(self.provider_config_id.0),
            F::Method => Value::Text(&self.method),
            F::Mode => Value::Int(self.mode.number().into()),
            F::Enabled => Value::Int(self.enabled.into()),
            F::ExpiresTime => Value::Int(self.expires_time.0),
            F::CreatedTime => Value::Int(self.created_time.0),
            F::UpdatedTime => Value::Int(self.updated_time.0),
        }
    }
}

impl Row<EventField> for ProviderEvent {
    fn value(&self, field: EventField) -> Value<'_> {
        use EventField as F;
        match field {
            F::Id => Value::id(self.id.0),
            F::Provider => Value::Text(&self.provider),
            F::EventId => Value::Text(&self.event_id),
            F::TransactionId => Value::id(self.transaction_id.0),
            F::ProviderPaymentId => Value::Text(&self.provider_payment_id),
            F::SignatureStatus => Value::Int(self.signature_status.number().into()),
            F::ProcessingStatus => Value::Int(self.processing_status.number().into()),
            F::CreatedTime => Value::Int(self.created_time.0),
            F::ProcessedTime => Value::Int(self.processed_time.0),
        }
    }
}
