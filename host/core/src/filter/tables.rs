//! The filterable fields of each record, and their values in a row (API.md sections 3, 4 and 6).

use super::model::{Field, FilterRow, FilterValue, Kind};
use crate::approval::ApprovalAt;
use crate::customer_override::CustomerOverride;
use crate::duty::WorkItem;
use crate::money::Money;
use crate::notice::ProviderEvent;
use crate::provider_config::ProviderConfig;
use crate::transaction::Transaction;

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $kind:ident $wire_name:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)* }

        impl Field for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];
            const ID: Self = Self::Id;
            const CREATED: Self = Self::CreatedTime;

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $wire_name,)* }
            }

            fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }
        }
    )*};
}

fields! {
    /// Fields of transactions; customers may name those of [`Self::PUBLISHED`] alone.
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
        Reference = Text "reference",
        Amount = Decimal "amount",
        Brand = Text "brand",
        ProviderConfigId = Int "provider_config_id",
        IdempotencyKey = Text "idempotency_key",
        FailureReason = Text "failure_reason",
        UpdatedTime = Int "updated_time",
        ExpiresTime = Int "expires_time",
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
    /// Fields of approvals.
    ApprovalField {
        Id = Int "id",
        Command = Text "command",
        ProviderConfigId = Int "provider_config_id",
        TransactionId = Int "transaction_id",
        Brand = Text "brand",
        AskedBy = Int "asked_by",
        DecidedBy = Int "decided_by",
        CreatedTime = Int "asked_time",
        ExpiresTime = Int "expires_time",
        State = Text "state",
    }
    /// Fields of audit records; the host's row gives their values.
    AuditField {
        Id = Int "id",
        CreatedTime = Int "created_time",
        ManagerId = Int "manager_id",
        Role = Int "role",
        Brand = Text "brand",
        Command = Text "command",
        ProviderConfigId = Int "provider_config_id",
        TransactionId = Int "transaction_id",
        ApprovalId = Int "approval_id",
        Outcome = Text "outcome",
        RequestId = Text "request_id",
    }
    /// Fields of the work list.
    WorkField {
        Id = Int "transaction_id",
        Kind = Text "kind",
        WaitsFor = Text "waits_for",
        EventId = Int "provider_event_id",
        ApprovalId = Int "approval_id",
        ProviderConfigId = Int "provider_config_id",
        Brand = Text "brand",
        Provider = Text "provider",
        CustomerId = Int "customer_id",
        Login = Int "login",
        Amount = Decimal "amount",
        Currency = Text "currency",
        FailureReason = Text "failure_reason",
        CreatedTime = Int "since",
        DueTime = Int "due_time",
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
        ProviderConfigId = Int "provider_config_id",
        Brand = Text "brand",
        FailureReason = Text "failure_reason",
    }
}

impl TransactionField {
    /// The published fields, which customers may name; the others are for managers.
    pub const PUBLISHED: &'static [Self] = &[
        Self::Id,
        Self::CustomerId,
        Self::Login,
        Self::Type,
        Self::Status,
        Self::Source,
        Self::Provider,
        Self::Method,
        Self::Currency,
        Self::ProviderPaymentId,
        Self::ApprovedTime,
        Self::ProcessedTime,
        Self::CreatedTime,
    ];
}

impl FilterRow<TransactionField> for Transaction {
    fn value(&self, field: TransactionField) -> FilterValue<'_> {
        use TransactionField as F;
        match field {
            F::Id => FilterValue::id(self.id.0),
            F::CustomerId => FilterValue::id(self.customer_id.0),
            F::Login => FilterValue::id(self.login.0),
            F::Type => FilterValue::Int(self.kind.number().into()),
            F::Status => FilterValue::Int(self.status.number().into()),
            F::Source => FilterValue::Int(self.source.number().into()),
            F::Provider => FilterValue::Text(&self.provider),
            F::Method => FilterValue::Text(&self.method),
            F::Currency => FilterValue::Text(self.amount.currency.code()),
            F::ProviderPaymentId => FilterValue::Text(&self.provider_payment_id),
            F::ApprovedTime => FilterValue::Int(self.approved_time.0),
            F::ProcessedTime => FilterValue::Int(self.processed_time.0),
            F::CreatedTime => FilterValue::Int(self.created_time.0),
            F::Reference => FilterValue::Text(self.reference.as_str()),
            F::Amount => FilterValue::Decimal(self.amount.units()),
            F::Brand => FilterValue::Text(&self.brand),
            F::ProviderConfigId => FilterValue::id(self.config_id.0),
            F::IdempotencyKey => FilterValue::Text(&self.idempotency_key),
            F::FailureReason => FilterValue::Text(self.reason.code.name()),
            F::UpdatedTime => FilterValue::Int(self.updated_time.0),
            F::ExpiresTime => FilterValue::Int(self.expires_time.0),
        }
    }
}

impl FilterRow<ConfigField> for ProviderConfig {
    fn value(&self, field: ConfigField) -> FilterValue<'_> {
        use ConfigField as F;
        match field {
            F::Id => FilterValue::id(self.id.0),
            F::Provider => FilterValue::Text(&self.provider),
            F::Brand => FilterValue::Text(&self.brand),
            F::Method => FilterValue::Text(&self.method),
            F::Country => FilterValue::Text(&self.country),
            F::Currency => FilterValue::Text(&self.currency),
            F::MerchantId => FilterValue::Text(&self.merchant_id),
            F::Sandbox => FilterValue::Int(self.sandbox.into()),
            F::Enabled => FilterValue::Int(self.enabled.into()),
            F::SortIndex => FilterValue::Int(self.sort_index),
            F::CreatedTime => FilterValue::Int(self.created_time.0),
            F::UpdatedTime => FilterValue::Int(self.updated_time.0),
        }
    }
}

impl FilterRow<OverrideField> for CustomerOverride {
    fn value(&self, field: OverrideField) -> FilterValue<'_> {
        use OverrideField as F;
        match field {
            F::Id => FilterValue::id(self.id.0),
            F::CustomerId => FilterValue::id(self.customer_id.0),
            F::Brand => FilterValue::Text(&self.brand),
            F::Provider => FilterValue::Text(&self.provider),
            F::ProviderConfigId => FilterValue::id(self.provider_config_id.0),
            F::Method => FilterValue::Text(&self.method),
            F::Mode => FilterValue::Int(self.mode.number().into()),
            F::Enabled => FilterValue::Int(self.enabled.into()),
            F::ExpiresTime => FilterValue::Int(self.expires_time.0),
            F::CreatedTime => FilterValue::Int(self.created_time.0),
            F::UpdatedTime => FilterValue::Int(self.updated_time.0),
        }
    }
}

impl FilterRow<ApprovalField> for ApprovalAt<'_> {
    fn value(&self, field: ApprovalField) -> FilterValue<'_> {
        use ApprovalField as F;
        match field {
            F::Id => FilterValue::id(self.row.id.0),
            F::Command => FilterValue::Text(&self.row.command),
            F::ProviderConfigId => FilterValue::id(self.row.config_id.0),
            F::TransactionId => FilterValue::id(self.row.transaction_id.0),
            F::Brand => FilterValue::Text(&self.row.brand),
            F::AskedBy => FilterValue::id(self.row.asked_by.0),
            F::DecidedBy => FilterValue::id(self.row.decided_by.0),
            F::CreatedTime => FilterValue::Int(self.row.asked_time.0),
            F::ExpiresTime => FilterValue::Int(self.row.expires_time.0),
            F::State => FilterValue::Text(self.row.state_at(self.now).name()),
        }
    }
}

impl FilterRow<WorkField> for WorkItem {
    fn value(&self, field: WorkField) -> FilterValue<'_> {
        use WorkField as F;
        match field {
            F::Id => FilterValue::id(self.transaction_id.0),
            F::Kind => FilterValue::Text(self.kind.name()),
            F::WaitsFor => FilterValue::Text(self.waits_for().name()),
            F::EventId => FilterValue::id(self.event_id.0),
            F::ApprovalId => FilterValue::id(self.approval_id.0),
            F::ProviderConfigId => FilterValue::id(self.config_id.0),
            F::Brand => FilterValue::Text(&self.brand),
            F::Provider => FilterValue::Text(&self.provider),
            F::CustomerId => FilterValue::id(self.customer_id.0),
            F::Login => FilterValue::id(self.login.0),
            F::Amount => FilterValue::Decimal(self.amount.map_or(0, Money::units)),
            F::Currency => FilterValue::Text(self.amount.as_ref().map_or("", |amount| amount.currency.code())),
            F::FailureReason => FilterValue::Text(self.code.name()),
            F::CreatedTime => FilterValue::Int(self.since.0),
            F::DueTime => FilterValue::Int(self.due_time.0),
        }
    }
}

impl FilterRow<EventField> for ProviderEvent {
    fn value(&self, field: EventField) -> FilterValue<'_> {
        use EventField as F;
        match field {
            F::Id => FilterValue::id(self.id.0),
            F::Provider => FilterValue::Text(&self.provider),
            F::EventId => FilterValue::Text(&self.event_id),
            F::TransactionId => FilterValue::id(self.transaction_id.0),
            F::ProviderPaymentId => FilterValue::Text(&self.provider_payment_id),
            F::SignatureStatus => FilterValue::Int(self.signature_status.number().into()),
            F::ProcessingStatus => FilterValue::Int(self.processing_status.number().into()),
            F::ProviderConfigId => FilterValue::id(self.config_id.0),
            F::Brand => FilterValue::Text(&self.brand),
            F::FailureReason => FilterValue::Text(&self.failure_reason),
            F::CreatedTime => FilterValue::Int(self.created_time.0),
            F::ProcessedTime => FilterValue::Int(self.processed_time.0),
        }
    }
}
