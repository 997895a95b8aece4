//! What is rendered is read back.
