//! A SIP profile: its sockets, the routing of its messages, challenge, NAT policy.
