//! Fencepost: the agent on network appliances that have bypass relays.
