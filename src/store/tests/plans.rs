//! Which indexes lists use.
