//! `ntbox run FILE.sys`.

fn main() {
    let image = std::env::args().nth(2).unwrap_or_default();
    match ntbox::run(&ntbox::Config::new(image)) {
        Ok(report) => println!("{report:#?}"),
        Err(error) => eprintln!("{error}"),
    }
}
