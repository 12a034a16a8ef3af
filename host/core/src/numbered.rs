//! Enums whose values have numbers that are published or stored: one macro writes each enum with its numbers, the way
//! back, and its words where it has any.

/// Every enum gets `ALL`, `number` and `from_number`; one whose values carry words also gets `word`.
macro_rules! numbered {
    (@names $name:ident) => {};
    (@names $name:ident $($variant:ident $word:literal)+) => {
        impl $name {
            /// The published word.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $($word:literal)?,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The published or stored number.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The value behind a number.
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }

        numbered!(@names $name $($($variant $word)?)*);
    )*};
}

pub(crate) use numbered;
