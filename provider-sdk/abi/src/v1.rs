//! Contract 1: what a module is shown, what it answers, and the table of its entries.
//! Frozen. The test `frozen` prints every shape; a difference there is a broken promise.

mod answers;
mod entries;
mod module;
mod shown;

pub use answers::{
    AcknowledgementV1, AmountV1, ConfigErrorV1, CreatedV1, DescriptorV1, DisputeV1, FailureV1, KeepV1, PairV1,
    RefundV1, RequestV1, SettingV1, StepV1, UpdateV1, VerdictV1,
};
pub use entries::{EntriesV1, HandleV1};
pub use module::{InstanceV1, ProviderModuleV1, ProviderModuleV1Ref, header, module_of};
pub use shown::{AmountRefV1, ConfigV1, NoticeV1, OrderV1, PairRefV1, PaymentV1, RefundOrderV1, ReplyV1};
