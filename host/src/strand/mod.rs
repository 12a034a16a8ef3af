//! The DB strand: one thread that owns bases/cashier.db, writes commits in order and says when they are on disk.
