//! Workers die, are replaced, or lose their launchers, while jobs run: real programs, `kill -9`.
#![cfg(target_os = "linux")]

mod machine;

mod kill_at_random;
mod launcher_dies;
mod reboot;
mod upgrade;
