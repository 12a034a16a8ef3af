//! Contract 1: the records in both directions and the table of a module's functions.
//! Frozen: the test `frozen` prints every layout, and a difference there breaks released modules.

mod entries;
mod inputs;
mod module;
mod outputs;

pub use entries::{EntriesV1, HandleV1};
pub use inputs::{AmountRefV1, ConfigV1, NoticeV1, OrderV1, PairRefV1, PaymentV1, RefundOrderV1, ReplyV1};
pub use module::{InstanceV1, ProviderModuleV1, ProviderModuleV1Ref, header, module_of};
pub use outputs::{
    AcknowledgementV1, AmountV1, ConfigErrorV1, CreatedV1, DescriptorV1, DisputeV1, FailureV1, KeepV1, PairV1,
    RefundV1, RequestV1, SettingV1, StepV1, UpdateV1, VerdictV1,
};
