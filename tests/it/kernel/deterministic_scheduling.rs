//! Schedules from a seed: a driver with a data race fails under some seeds, and with the
//! same result each time; the correct driver never fails.

use integration_tests::images;
use ntbox::{Config, RegValue, Report};

/// Seeds that are tried.
const SEEDS: std::ops::Range<u64> = 0..24;

fn race(correct: bool, processors: u32, seed: u64) -> Report {
    let config = Config::new(images::driver("data_race"))
        .parameter("Correct", RegValue::Dword(correct.into()))
        .processors(processors)
        .schedule(seed);
    let report = ntbox::run(&config).expect("the driver runs");
    assert!(report.clean(), "{seed}: {report:#?}");
    assert_eq!(report.schedule, Some(seed));
    report
}

/// What the counter is in the end.
fn count(report: &Report) -> &str {
    report.shown().next().expect("it says so")
}

#[test]
fn data_race_under_a_seed_gives_the_same_result() {
    for processors in [1, 3] {
        let runs: Vec<Report> = SEEDS.map(|seed| race(false, processors, seed)).collect();
        for (seed, run) in SEEDS.zip(&runs) {
            // All of it: the log with its times, the calls, where threads changed.
            assert_eq!(race(false, processors, seed), *run, "seed {seed}");
        }
        let lost = runs.iter().filter(|run| count(run) == "data_race: 1 of 2");
        let lost = lost.count();
        assert!((1..runs.len()).contains(&lost), "{processors}: {lost}");
    }
}

#[test]
fn locked_counter_under_each_seed_loses_no_update() {
    for processors in [1, 3] {
        for seed in SEEDS {
            let report = race(true, processors, seed);
            assert_eq!(count(&report), "data_race: 2 of 2", "seed {seed}");
        }
    }
}

#[test]
fn correct_drivers_under_each_seed_are_clean() {
    for driver in [
        "threads",
        "priorities",
        "ke_callbacks",
        "ex_locks",
        "io_queues",
    ] {
        let config = Config::new(images::driver(driver));
        let shown = |report: &Report| report.shown().map(str::to_owned).collect::<Vec<_>>();
        let usual = shown(&ntbox::run(&config).expect("the driver runs"));
        for seed in 0..4 {
            let drawn = ntbox::run(&config.clone().schedule(seed)).expect("the driver runs");
            assert_eq!(shown(&drawn), usual, "{driver}, seed {seed}: {drawn:#?}");
            assert!(drawn.clean(), "{driver}, seed {seed}: {drawn:#?}");
        }
    }
}

#[test]
fn report_text_contains_the_seed() {
    let text = race(true, 1, 42).text().to_string();
    assert!(text.contains("schedule drawn from seed 42\n"), "{text}");
}

#[test]
fn seed_with_real_time_is_refused() {
    let mut config = Config::new(images::driver("data_race")).schedule(1);
    config.time = ntbox::Time::Real;
    let error = ntbox::run(&config).expect_err("it is refused").to_string();
    assert!(error.contains("needs simulated time"), "{error}");
}
