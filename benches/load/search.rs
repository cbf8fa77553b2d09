//! The greatest rate a server carries: doubled until too much fails, then closed in by halves, then run several times.

/// What is wanted of a search.
#[derive(Clone, Copy)]
pub struct Search {
    /// The first rate tried.
    pub from: f64,
    /// How long each step lasts, in seconds.
    pub seconds: f64,
    /// How often the found rate is run.
    pub runs: usize,
    /// The share that may fail.
    pub share: f64,
}

/// One run, in the figures that are compared.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The rate offered.
    pub rate: f64,
    /// Ended well, per second.
    pub good: f64,
    /// The share that did not.
    pub lost: f64,
    /// The generator could not offer it.
    pub limited: bool,
    /// Other figures by name, whose medians are told.
    pub figures: Vec<(&'static str, f64)>,
}

/// The median of some numbers.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The medians of runs, figure by figure.
pub fn medians(runs: &[Step]) -> Step {
    let of = |get: &dyn Fn(&Step) -> f64| median(runs.iter().map(get).collect());
    let mut middle = Step {
        rate: of(&|step| step.rate),
        good: of(&|step| step.good),
        lost: of(&|step| step.lost),
        limited: runs.iter().any(|step| step.limited),
        figures: Vec::new(),
    };
    if let Some(first) = runs.first() {
        for (i, (name, _)) in first.figures.iter().enumerate() {
            let values = runs.iter().filter_map(|step| Some(step.figures.get(i)?.1)).collect();
            middle.figures.push((name, median(values)));
        }
    }
    middle
}

impl Step {
    /// One line of text.
    pub fn line(&self) -> String {
        let mut line = format!(
            "{:>8.0}/s offered, {:>8.0}/s good, {:.3} % lost",
            self.rate,
            self.good,
            self.lost * 100.0
        );
        for (name, value) in &self.figures {
            line.push_str(&format!(", {name} {value:.1}"));
        }
        if self.limited {
            line.push_str("  [the generator was the limit]");
        }
        line
    }

    /// For scripts.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "rate": self.rate, "good_per_second": self.good, "lost_share": self.lost,
            "generator_was_the_limit": self.limited,
            "figures": self.figures.iter().map(|(name, value)| ((*name).to_owned(), serde_json::json!(value)))
                .collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// Searches; `run` offers a rate for so many seconds. Tells each step to `tell`.
pub fn search(
    wanted: Search,
    mut run: impl FnMut(f64, f64) -> Result<Step, String>,
    tell: impl Fn(&str, &Step),
) -> Result<Step, String> {
    let fine = |step: &Step| step.lost < wanted.share && !step.limited;
    let mut pause = |rate: f64| {
        let step = run(rate, wanted.seconds);
        // What was too much for the server is over before the next step.
        std::thread::sleep(std::time::Duration::from_millis(1000));
        step
    };
    // A machine that stood still for a moment is not a server that is full: what nearly went is tried once more.
    let tried = |pause: &mut dyn FnMut(f64) -> Result<Step, String>, rate: f64| {
        let mut step = pause(rate)?;
        tell("step", &step);
        if !fine(&step) && step.lost < 0.1 {
            step = pause(rate)?;
            tell("again", &step);
        }
        Ok::<Step, String>(step)
    };
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut rate = wanted.from;
    while high.is_infinite() {
        let step = tried(&mut pause, rate)?;
        if fine(&step) {
            low = rate;
            rate *= 2.0;
            if rate > 1e6 {
                high = rate;
            }
        } else {
            high = rate;
        }
    }
    if low == 0.0 {
        // Too much from the beginning: down by halves until something is carried.
        rate = high / 2.0;
        while rate >= 1.0 {
            let step = tried(&mut pause, rate)?;
            if fine(&step) {
                low = rate;
                break;
            }
            high = rate;
            rate /= 2.0;
        }
        if low == 0.0 {
            return Err("not even one a second is carried without loss".to_owned());
        }
    }
    while high / low > 1.06 {
        rate = (low + high) / 2.0;
        let step = tried(&mut pause, rate)?;
        if fine(&step) {
            low = rate;
        } else {
            high = rate;
        }
    }
    for _ in 0..6 {
        let mut runs = Vec::new();
        for _ in 0..wanted.runs.max(1) {
            let step = pause(low)?;
            tell("run", &step);
            runs.push(step);
        }
        let middle = medians(&runs);
        if middle.lost < wanted.share {
            return Ok(middle);
        }
        low *= 0.93;
    }
    Err("no rate was carried in the repeated runs; the machine is too restless".to_owned())
}
