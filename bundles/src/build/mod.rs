//! `build`: from a Dockerfile and a context to an image.

mod change;
mod expand;
mod files;
mod glob;
mod ignore;
mod lines;
mod parse;
mod place;
mod tree;

/// The parts of a path without `.` and `..`, which lead no further up than the top, and without
/// slashes at either end.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
