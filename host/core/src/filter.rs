//! The published filter language (API.md section 6) as typed conditions over transactions.
