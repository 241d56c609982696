//! From tokens to a tree, with two stacks instead of recursion: hostile nesting costs heap, never the call stack.
//!
//! What it does not do: decide which token may follow which (`lexer`).
//! Follows <https://docs.github.com/actions/reference/workflows-and-actions/expressions#operators>.

use std::mem;
use std::ops::Range;

use super::context::{Allowed, Function};
use super::error::{Cause, DEPTH_MAX, ErrorKind, ExpressionError, LENGTH_MAX};
use super::lexer::{Lexer, Token, TokenKind};
use super::node::{Comparison, Node, NodeKind, Operator};
use super::text::utf16_length;
use super::value::Value;

/// The lexer lets an operator through only where its operands are.
const SOUND: &str = "the lexer accepts only sequences in which every operator has its operands";

/// Parses a whole expression; nothing where it is blank.
pub(super) fn parse(text: &str, allowed: &Allowed<'_>) -> Result<Option<Node>, ExpressionError> {
    // Bytes bound units from above, so that a hostile length is refused without being counted.
    if text.len() > LENGTH_MAX && utf16_length(text) > LENGTH_MAX {
        return Err(ExpressionError::too_long(text));
    }
    let mut parser = Parser { text, allowed, operands: Vec::new(), operators: Vec::new(), too_deep: false };
    parser.run()
}

struct Parser<'input> {
    text: &'input str,
    allowed: &'input Allowed<'input>,
    operands: Vec<Node>,
    operators: Vec<Token>,
    /// Set instead of failing at once, because GitHub reports every other error first.
    too_deep: bool,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<Option<Node>, ExpressionError> {
        let mut lexer = Lexer::new(self.text);
        let mut last = None;
        while let Some(token) = lexer.next_token()? {
            self.push(token.clone(), last.as_ref())?;
            last = Some(token);
        }
        let Some(last) = last else { return Ok(None) };
        if lexer.has_unclosed() || expects_more(last.kind) {
            let symbol = self.text[last.span.clone()].to_owned();
            return Err(self.error(Cause::UnexpectedEnd(symbol), last.span));
        }
        while !self.operators.is_empty() {
            self.flush();
        }
        if self.too_deep {
            return Err(ExpressionError::too_deep(self.text));
        }
        Ok(self.operands.pop())
    }

    fn push(&mut self, token: Token, last: Option<&Token>) -> Result<(), ExpressionError> {
        let span = token.span.clone();
        match token.kind {
            TokenKind::Null => self.operand(NodeKind::Literal(Value::Null), span),
            TokenKind::Boolean(boolean) => self.operand(NodeKind::Literal(Value::Boolean(boolean)), span),
            TokenKind::Number(number) => self.operand(NodeKind::Literal(Value::Number(number)), span),
            TokenKind::String => {
                let value = Value::from(self.text[span.start + 1..span.end - 1].replace("''", "'"));
                self.operand(NodeKind::Literal(value), span);
            }
            TokenKind::PropertyName => {
                let value = Value::from(&self.text[span.clone()]);
                self.operand(NodeKind::Literal(value), span);
            }
            TokenKind::Wildcard => self.operand(NodeKind::Wildcard, span),
            TokenKind::ContextName => self.context(span)?,
            TokenKind::FunctionName => self.function(span)?,
            TokenKind::StartGroup | TokenKind::Not => self.operators.push(token),
            TokenKind::StartArguments
            | TokenKind::StartIndex
            | TokenKind::Separator
            | TokenKind::Dereference
            | TokenKind::Binary(_) => {
                self.flush_tighter(token.kind);
                self.operators.push(token);
            }
            TokenKind::EndGroup | TokenKind::EndIndex => {
                self.flush_tighter(token.kind);
                self.close(&token);
            }
            TokenKind::EndArguments => {
                self.flush_tighter(token.kind);
                let empty = last.is_some_and(|last| last.kind == TokenKind::StartArguments);
                self.close_call(&token, empty)?;
            }
        }
        Ok(())
    }

    fn error(&self, cause: Cause, span: Range<usize>) -> ExpressionError {
        ExpressionError::at(ErrorKind::Parsing, cause, self.text, span)
    }

    fn context(&mut self, span: Range<usize>) -> Result<(), ExpressionError> {
        let name = &self.text[span.clone()];
        if !self.allowed.allows_context(name) {
            return Err(self.error(Cause::UnknownName(name.to_owned()), span));
        }
        self.operand(NodeKind::Context(name.into()), span);
        Ok(())
    }

    fn function(&mut self, span: Range<usize>) -> Result<(), ExpressionError> {
        let name = &self.text[span.clone()];
        let Some((function, ..)) = self.allowed.function(name) else {
            return Err(self.error(Cause::UnknownFunction(name.to_owned()), span));
        };
        self.operand(NodeKind::Call { function, name: name.into(), arguments: Vec::new() }, span);
        Ok(())
    }

    /// Pushes a node, or a stand-in where it is too deep: trees stay shallow enough to be dropped and evaluated.
    fn operand(&mut self, kind: NodeKind, span: Range<usize>) {
        self.push_node(Node::new(kind, span));
    }

    fn push_node(&mut self, mut node: Node) {
        if node.depth > DEPTH_MAX {
            self.too_deep = true;
            node = Node::new(NodeKind::Literal(Value::Null), node.span);
        }
        self.operands.push(node);
    }

    fn pop(&mut self) -> Node {
        self.operands.pop().expect(SOUND)
    }

    /// Builds the operators on the stack that bind at least as tightly, up to the innermost open bracket or comma.
    fn flush_tighter(&mut self, kind: TokenKind) {
        while let Some(top) = self.operators.last() {
            let fence = matches!(
                top.kind,
                TokenKind::StartGroup | TokenKind::StartIndex | TokenKind::StartArguments | TokenKind::Separator
            );
            if fence || precedence(kind) > precedence(top.kind) {
                break;
            }
            self.flush();
        }
    }

    /// Builds the operator on top of the stack.
    fn flush(&mut self) {
        let operator = self.operators.pop().expect("called only while an operator is there");
        let right = self.pop();
        if operator.kind == TokenKind::Not {
            let span = operator.span.start..right.span.end;
            return self.operand(NodeKind::Not(Box::new(right)), span);
        }
        let left = self.pop();
        let node = if let TokenKind::Binary(sign) = operator.kind {
            binary(sign, left, right)
        } else {
            let span = left.span.start..right.span.end;
            Node::new(NodeKind::Index { object: Box::new(left), index: Box::new(right) }, span)
        };
        self.push_node(node);
    }

    /// `)` around an expression, or `]`.
    fn close(&mut self, end: &Token) {
        let start = self.operators.pop().expect(SOUND);
        let mut inner = self.pop();
        if end.kind == TokenKind::EndGroup {
            inner.span = start.span.start..end.span.end;
            return self.operands.push(inner);
        }
        let object = self.pop();
        let span = object.span.start..end.span.end;
        self.operand(NodeKind::Index { object: Box::new(object), index: Box::new(inner) }, span);
    }

    /// `)` of a call.
    fn close_call(&mut self, end: &Token, empty: bool) -> Result<(), ExpressionError> {
        let mut count = usize::from(!empty);
        while self.operators.pop().expect(SOUND).kind == TokenKind::Separator {
            count += 1;
        }
        let arguments = self.operands.split_off(self.operands.len() - count);
        let call = self.pop();
        let NodeKind::Call { function, name, .. } = call.kind else {
            unreachable!("below the arguments lies the function that the lexer saw before the bracket")
        };
        let limits = self.allowed.function(&name);
        let (min, max) = limits.map_or((0, usize::MAX), |(_, min, max)| (min, max));
        let cause = if count < min {
            Some(Cause::TooFewArguments(name.to_string()))
        } else if count > max {
            Some(Cause::TooManyArguments(name.to_string()))
        } else if function == Function::Case && count.is_multiple_of(2) {
            Some(Cause::EvenArguments(name.to_string()))
        } else {
            None
        };
        if let Some(cause) = cause {
            return Err(self.error(cause, call.span));
        }
        let span = call.span.start..end.span.end;
        self.operand(NodeKind::Call { function, name, arguments }, span);
        Ok(())
    }
}

/// Whether an expression cannot end with this token.
const fn expects_more(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::StartGroup
            | TokenKind::StartArguments
            | TokenKind::StartIndex
            | TokenKind::Separator
            | TokenKind::Dereference
            | TokenKind::Not
            | TokenKind::Binary(_)
            | TokenKind::FunctionName
    )
}

/// Higher binds tighter; closing brackets and commas build everything.
const fn precedence(kind: TokenKind) -> u8 {
    match kind {
        TokenKind::StartArguments | TokenKind::StartIndex | TokenKind::Dereference => 19,
        TokenKind::Not => 16,
        TokenKind::Binary(operator) => operator.precedence(),
        TokenKind::EndGroup | TokenKind::EndIndex | TokenKind::EndArguments | TokenKind::Separator => 1,
        TokenKind::StartGroup
        | TokenKind::Wildcard
        | TokenKind::Null
        | TokenKind::Boolean(_)
        | TokenKind::Number(_)
        | TokenKind::String
        | TokenKind::PropertyName
        | TokenKind::FunctionName
        | TokenKind::ContextName => 0,
    }
}

fn binary(operator: Operator, left: Node, right: Node) -> Node {
    let comparison = match operator {
        Operator::And => {
            let open = |node: &mut Node| {
                if let NodeKind::And(operands) = &mut node.kind { Some(mem::take(operands)) } else { None }
            };
            return chain(left, right, open, NodeKind::And);
        }
        Operator::Or => {
            let open = |node: &mut Node| {
                if let NodeKind::Or(operands) = &mut node.kind { Some(mem::take(operands)) } else { None }
            };
            return chain(left, right, open, NodeKind::Or);
        }
        Operator::Equal => Comparison::Equal,
        Operator::NotEqual => Comparison::NotEqual,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
    };
    let span = left.span.start..right.span.end;
    Node::new(NodeKind::Compare { comparison, left: Box::new(left), right: Box::new(right) }, span)
}

/// One node for a whole chain, so that `a && b && c` is one level deep. The depth is kept up rather than computed
/// again over all operands: a long chain costs no more than its text.
fn chain(
    mut left: Node,
    mut right: Node,
    open: impl Fn(&mut Node) -> Option<Vec<Node>>,
    kind: impl Fn(Vec<Node>) -> NodeKind,
) -> Node {
    let span = left.span.start..right.span.end;
    let (first, second) = (open(&mut left), open(&mut right));
    let depth = |opened: bool, depth: usize| if opened { depth } else { depth + 1 };
    let depth = depth(first.is_some(), left.depth).max(depth(second.is_some(), right.depth));
    let operands = match (first, second) {
        (None, None) => vec![left, right],
        (Some(mut operands), None) => {
            operands.push(right);
            operands
        }
        (None, Some(mut operands)) => {
            operands.insert(0, left);
            operands
        }
        (Some(mut operands), Some(more)) => {
            operands.extend(more);
            operands
        }
    };
    Node { kind: kind(operands), span, depth }
}
