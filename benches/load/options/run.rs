//! Doing what the command line says.

use super::*;

fn success(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Puts a reflecting thread in the place of the server when that is wanted.
fn instead(
    common: &Common,
    server: &mut SocketAddr,
    callee: Option<SocketAddr>,
) -> Result<Option<Reflector>, String> {
    if !common.itself {
        common.prepare(*server)?;
        return Ok(None);
    }
    if let Some(cpu) = common.pin {
        measure::pin(cpu)?;
    }
    let callee = callee.unwrap_or(*server);
    let ip = common.own(*server)?;
    let reflector = reflect::start(ip, callee, common.self_pin)?;
    *server = reflector.at;
    Ok(Some(reflector))
}

/// Does what the command line says.
pub fn run(options: Options) -> Result<ExitCode, String> {
    match options.what {
        What::Calls(calls) => {
            let common = &calls.common;
            let mut plan = calls.plan()?;
            let _reflector = instead(common, &mut plan.server, plan.callee)?;
            if calls.greatest.search {
                return calls.greatest.find(common.json, plan.rate, |rate, seconds| {
                    plan.rate = rate;
                    plan.count = (rate * seconds).ceil() as u64;
                    calls::once(&plan, common.pid).map(|out| out.step(rate))
                });
            }
            let out = calls::once(&plan, common.pid)?;
            if common.json {
                println!("{}", out.json(&plan));
            } else {
                out.print(&plan);
            }
            Ok(success(out.carried > 0))
        }
        What::Callee(callee) => {
            if let Some(cpu) = callee.pin {
                measure::pin(cpu)?;
            }
            let plan = callee.plan();
            let (mut engine, mut receivers) = Engine::open(&plan, Clock::start())?;
            engine.answer_for(&mut receivers, callee.seconds.saturating_mul(1_000_000_000));
            engine.out.print_legs();
            Ok(ExitCode::SUCCESS)
        }
        What::Registrations(register) => {
            let common = &register.common;
            let mut plan = register.plan()?;
            let _reflector = instead(common, &mut plan.server, None)?;
            if register.greatest.search {
                return register.greatest.find(common.json, plan.rate, |rate, seconds| {
                    plan.rate = rate;
                    plan.count = (rate * seconds).ceil() as u64;
                    registrations::once(&plan, common.pid).map(|out| out.step(rate))
                });
            }
            let out = registrations::once(&plan, common.pid)?;
            if common.json {
                println!("{}", out.json(&plan));
            } else {
                out.print(&plan);
            }
            Ok(success(out.registered > 0))
        }
        What::Rtp(flows) => {
            let common = &flows.common;
            let mut plan = flows.plan()?;
            let _reflector = instead(common, &mut plan.calls.server, plan.calls.callee)?;
            let (out, calls) = rtp::run(&mut plan, Clock::start(), common.pid)?;
            if common.json {
                println!("{}", out.json(&plan, &calls));
            } else {
                out.print(&plan, &calls);
            }
            Ok(success(out.lost_share() < 1.0))
        }
        What::Tandem(all) => {
            tandem::run(&all.plan()?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
