//! The journeys: each reads from top to bottom as a story, knows no socket, disk or library, and outlives its request.
