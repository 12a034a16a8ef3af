//! Enums with published or stored numbers: one macro declares each with its numbers, the conversion from a number, and
//! published names where it has any.

/// Every enum gets `ALL`, `number` and `from_number`; one whose values have names also gets `name`.
macro_rules! numbered {
    (@names $name:ident) => {};
    (@names $name:ident $($variant:ident $text:literal)+) => {
        impl $name {
            /// The published name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $($text:literal)?,)* })*) => {$(
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

            /// The value of a number.
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }

        numbered!(@names $name $($($variant $text)?)*);
    )*};
}

pub(crate) use numbered;
