//! JSON twins of domain types, with the published names in the published order.
