//! `build`: from a Dockerfile and a context to an image.

mod change;
mod expand;
mod lines;
mod parse;
mod place;
