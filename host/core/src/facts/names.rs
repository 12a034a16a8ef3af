//! The names of provider facts as they are stored, for people who ask what a statement would add. It reads no fact.

use super::ProviderFact;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $(
        $(#[$doc:meta])* $tag:literal $stored:literal $variant:ident
        $({ $($(#[$fdoc:meta])* $field:ident $(as $as:literal)? $(or $absent:literal)? : $ty:ty),* $(,)? })?
        $(( $inner:ident : $innerty:ty ))?
    );* $(;)? }) => {
        impl $name {
            /// The name under which it is stored.
            pub const fn stored_name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $stored,)* }
            }
        }
    };
}

crate::provider_fact_table!(named!);
