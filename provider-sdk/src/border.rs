//! The copying between the author's plain types and the frozen records: two leaves a side.
//! The host lends what it shows and takes what is answered; the module copies in and gives back.

pub(crate) mod copy_in;
pub(crate) mod give;
pub(crate) mod lend;
pub(crate) mod take;
