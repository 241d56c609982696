//! Image to packages to findings to a decision. Nothing here yet: the image scan is the next piece of the road.
