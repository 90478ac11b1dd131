//! A whole master on a real store: what its shell promises about events, repeated calls, retention and room.

#![forbid(unsafe_code)]

mod backup;
mod events;
mod house;
mod moody;
mod output;
mod repeats;
mod restart;
mod retention;
mod room;
mod shaky;
