//! Compiles anew when a migration is added: `sqlx::migrate!` reads the directory, which the
//! compiler does not watch.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
