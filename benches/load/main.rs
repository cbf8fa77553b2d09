//! A load generator for SIP servers: calls, registrations and RTP, and what the server costs meanwhile.
//!
//! It shares no code with tandem. Messages are written from templates and read by scanning for the few fields a phone
//! needs; one thread, one socket a side, batched system calls; it never sleeps, so give it a core of its own (`--pin`).
//! `--help` says how to use it; the README's "Measuring it yourself" how to compare servers.

mod calls;
mod digest;
mod identity;
mod listeners;
mod mark;
mod measure;
mod net;
mod options;
mod pace;
mod reflect;
mod registrations;
mod rtp;
mod search;
mod tandem;
mod text;
mod wheel;
mod wire;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `cargo bench` without anything adds `--bench` to the command line.
    let arguments: Vec<String> = std::env::args().filter(|word| word != "--bench").collect();
    if arguments.len() < 2 {
        println!("the load generator measures a running server: cargo bench --bench load -- --help");
        return ExitCode::SUCCESS;
    }
    match options::run(options::Options::parse_from(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}
