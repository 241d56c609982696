//! Tables of repositories, and what a job finds of them.
