//! Bytes to events: one decoder for each envelope of the contract, one way to poison.
