//! `export_provider!`: turns a type that implements `PaymentProvider` into a module.

/// Exports one provider from a crate of type `cdylib`. Write it once, at the end of `lib.rs`.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        const _: fn() = || {
            fn is_a_provider<P: $crate::PaymentProvider>() {}
            is_a_provider::<$provider>();
        };
    };
}
