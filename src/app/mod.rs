//! Dialplan applications, one file each, all alike.
