//! Takes an input apart.

/// What is left of it.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte, zero at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// The next eight bytes, or as many as there are.
    pub(crate) fn word(&mut self) -> [u8; 8] {
        std::array::from_fn(|_| self.byte())
    }

    /// Up to the next end of a line, which is left out.
    pub(crate) fn line(&mut self) -> &'a [u8] {
        let mut parts = self.0.splitn(2, |byte| *byte == b'\n');
        let line = parts.next().unwrap_or_default();
        self.0 = parts.next().unwrap_or_default();
        line
    }

    /// As [`line`](Self::line), `None` for what is no text.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.line()).ok()
    }
}
