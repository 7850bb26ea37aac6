//! Single inputs and what they lead to; the simulator tests the whole.
