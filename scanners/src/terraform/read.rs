//! Blocks and attributes of Terraform's language; expressions stay text.
//! <https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md>

/// How deep blocks may nest.
const NESTING_MAX: usize = 32;

/// A block: `resource "aws_s3_bucket" "a" { … }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: String,
    labels: Vec<String>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) blocks: Vec<Self>,
    /// From 1.
    pub(super) line: u32,
    pub(super) end_line: u32,
}

/// `name = expression`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// The expression as written, without comments around it.
    pub(super) value: String,
    pub(super) line: u32,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadError {
    pub(super) line: u32,
    pub(super) reason: String,
}

impl Block {
    pub(super) fn label(&self, number: usize) -> &str {
        self.labels.get(number).map_or("", String::as_str)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The text of an attribute that is one without interpolation.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name)?.text()
    }

    /// The blocks of a kind in it, also those that `dynamic` makes.
    pub(super) fn inner<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'b Self> {
        self.blocks.iter().filter_map(move |block| match block.kind.as_str() {
            "dynamic" if block.label(0) == kind => block.blocks.iter().find(|inner| inner.kind == "content"),
            own if own == kind => Some(block),
            _ => None,
        })
    }

    pub(super) fn address(&self) -> String {
        match self.kind.as_str() {
            "resource" => self.labels.join("."),
            kind => std::iter::once(kind).chain(self.labels.iter().map(String::as_str)).collect::<Vec<_>>().join("."),
        }
    }
}

impl Attribute {
    pub(super) fn text(&self) -> Option<&str> {
        let inner = self.value.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.contains(['"', '$', '%'])).then_some(inner)
    }
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Vec<Block>, ReadError> {
    if text.len() > super::FILE_BYTES_MAX {
        return Err(ReadError { line: 1, reason: format!("it is longer than {} bytes", super::FILE_BYTES_MAX) });
    }
    let mut reader = Reader { text, at: 0, line: 1 };
    let mut root = Block::default();
    reader.body(&mut root, 0)?;
    Ok(root.blocks)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> Reader<'a> {
    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, ReadError> {
        Err(ReadError { line: self.line, reason: reason.into() })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += u32::from(c == '\n');
        Some(c)
    }

    fn skip_while(&mut self, is: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&is) {
            self.next();
        }
        &self.text[start..self.at]
    }

    /// Blanks and comments; line breaks too where they mean nothing.
    fn skip(&mut self, breaks: bool) {
        loop {
            self.skip_while(|c| c.is_whitespace() && (breaks || c != '\n'));
            let rest = self.rest();
            if rest.starts_with('#') || rest.starts_with("//") {
                self.skip_while(|c| c != '\n');
            } else if rest.starts_with("/*") {
                let end = rest.find("*/").map_or(self.text.len(), |end| self.at + end + 2);
                while self.at < end {
                    self.next();
                }
            } else {
                return;
            }
        }
    }

    fn body(&mut self, block: &mut Block, depth: usize) -> Result<(), ReadError> {
        loop {
            self.skip(true);
            match self.peek() {
                None if depth == 0 => return Ok(()),
                None => return self.wrong(format!("the block that begins in line {} has no end", block.line)),
                Some('}') if depth > 0 => {
                    block.end_line = self.line;
                    self.next();
                    return Ok(());
                }
                Some(_) => self.item(block, depth)?,
            }
        }
    }

    fn item(&mut self, block: &mut Block, depth: usize) -> Result<(), ReadError> {
        let line = self.line;
        let name = self.skip_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).to_owned();
        if name.is_empty() {
            let found = self.peek().unwrap_or(' ');
            return self.wrong(format!("`{found}` stands where a name is expected"));
        }
        self.skip(false);
        if self.rest().starts_with('=') && !self.rest().starts_with("==") {
            self.next();
            self.skip(false);
            let value = self.expression()?;
            block.attributes.push(Attribute { name, value, line });
            return Ok(());
        }
        let mut inner = Block { kind: name, line, ..Block::default() };
        loop {
            self.skip(false);
            match self.peek() {
                Some('{') => break,
                Some('"') => {
                    let start = self.at + 1;
                    self.string()?;
                    inner.labels.push(self.text[start..self.at - 1].to_owned());
                }
                Some(c) if c.is_alphanumeric() || c == '_' => {
                    inner.labels.push(self.skip_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).to_owned());
                }
                Some(_) | None => return self.wrong(format!("`{}` is neither a block nor an attribute", inner.kind)),
            }
        }
        self.next();
        if depth >= NESTING_MAX {
            return self.wrong(format!("blocks are nested more than {NESTING_MAX} deep"));
        }
        self.body(&mut inner, depth + 1)?;
        block.blocks.push(inner);
        Ok(())
    }

    /// Up to the end of the line, or of the brackets that it opens.
    fn expression(&mut self) -> Result<String, ReadError> {
        let mut value = String::new();
        let mut depth = 0_usize;
        loop {
            self.skip(depth > 0);
            let start = self.at;
            let Some(c) = self.peek() else { break };
            match c {
                '\n' => break,
                '}' | ']' | ')' if depth == 0 => break,
                '"' => self.string()?,
                '<' if self.rest().starts_with("<<") => self.heredoc()?,
                _ => {
                    self.next();
                    match c {
                        '{' | '[' | '(' => depth += 1,
                        '}' | ']' | ')' => depth -= 1,
                        _ => {}
                    }
                }
            }
            let is_apart = self.text[..start].ends_with(char::is_whitespace) && !value.is_empty();
            if is_apart {
                value.push(' ');
            }
            value.push_str(&self.text[start..self.at]);
        }
        if depth > 0 { self.wrong("a bracket is not closed") } else { Ok(value) }
    }

    /// A quoted text, whose interpolations may have texts of their own.
    fn string(&mut self) -> Result<(), ReadError> {
        let begun = self.line;
        self.next();
        let mut interpolations = 0_usize;
        let mut inner_quote = false;
        loop {
            let rest = self.rest();
            match self.next() {
                None => return Err(ReadError { line: begun, reason: "a text is not closed".to_owned() }),
                Some('\\') => {
                    self.next();
                }
                Some('"') if interpolations == 0 => return Ok(()),
                Some('"') => inner_quote = !inner_quote,
                Some('$' | '%') if rest[1..].starts_with('{') && !inner_quote => {
                    interpolations += 1;
                    self.next();
                }
                Some('{') if interpolations > 0 && !inner_quote => interpolations += 1,
                Some('}') if interpolations > 0 && !inner_quote => interpolations -= 1,
                Some(_) => {}
            }
        }
    }

    fn heredoc(&mut self) -> Result<(), ReadError> {
        let begun = self.line;
        let head = self.skip_while(|c| c != '\n');
        let name = head.trim_start_matches('<').trim_start_matches('-').trim().to_owned();
        self.next();
        while self.peek().is_some() {
            let line = self.skip_while(|c| c != '\n');
            // The break behind it ends the attribute.
            if line.trim() == name {
                return Ok(());
            }
            self.next();
        }
        Err(ReadError { line: begun, reason: format!("the text that ends with {name} has no end") })
    }
}
