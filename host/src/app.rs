//! Builds the house in order and drains it in reverse: the only room that knows all rooms.
