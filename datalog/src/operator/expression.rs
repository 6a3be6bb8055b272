//! Compiled expressions, evaluated as the library's engine does.
//!
//! Two things are stricter than there. The members of sets and maps have no order, so a closure
//! runs on all of them, and an error in one is an error; and looking at an argument of which
//! nothing can be said ([`EvaluationError::Unrepresentable`]) is an error, not `null`.

use std::borrow::Cow;

use regex::Regex;

use super::{
    constant::Constant,
    steps::{EvaluationError, Failure, Steps},
    syntax::{Binary, Unary},
    value::{Array, Item, KeyRef, Set, Value},
};

/// Most variables in one rule body, parameters of closures included.
pub(super) const MAX_VARIABLES: usize = 16;

/// The values of variables, by their numbers. A slot is filled before anything reads it: the
/// compiler refuses a variable that no fact binds.
pub(super) type Slots<'a> = [Option<Value<'a>>; MAX_VARIABLES];

/// An expression whose variables are numbers.
#[derive(Clone, Debug)]
pub(super) enum Code {
    Constant(Constant),
    Slot(usize),
    Unary(Unary, Box<Code>),
    Binary(Binary, Box<Code>, Box<Code>),
    Matches(Box<Code>, Regex),
    Quantified {
        every: bool,
        over: Box<Code>,
        parameter: usize,
        body: Box<Code>,
    },
}

type Evaluated<'a> = Result<Value<'a>, Failure>;

impl Code {
    /// Evaluates a condition: anything but a boolean is an error.
    pub(super) fn holds<'a>(
        &'a self,
        slots: &mut Slots<'a>,
        steps: &mut Steps,
    ) -> Result<bool, Failure> {
        match self.evaluate(slots, steps)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(EvaluationError::WrongType.into()),
        }
    }

    pub(super) fn evaluate<'a>(
        &'a self,
        slots: &mut Slots<'a>,
        steps: &mut Steps,
    ) -> Evaluated<'a> {
        match self {
            Self::Constant(constant) => Ok(Value::of(constant)),
            Self::Slot(slot) => slots
                .get(*slot)
                .and_then(Clone::clone)
                .ok_or(EvaluationError::WrongType.into()),
            operation => {
                steps.take(1)?;
                operation.operate(slots, steps)
            }
        }
    }

    /// Evaluates anything but a leaf.
    fn operate<'a>(&'a self, slots: &mut Slots<'a>, steps: &mut Steps) -> Evaluated<'a> {
        match self {
            Self::Constant(_) | Self::Slot(_) => self.evaluate(slots, steps),
            Self::Unary(operator, operand) => {
                let operand = operand.evaluate(slots, steps)?;
                unary(*operator, operand)
            }
            Self::Binary(Binary::And, left, right) => match left.holds(slots, steps)? {
                false => Ok(Value::Bool(false)),
                true => right.evaluate(slots, steps),
            },
            Self::Binary(Binary::Or, left, right) => match left.holds(slots, steps)? {
                true => Ok(Value::Bool(true)),
                false => right.evaluate(slots, steps),
            },
            Self::Binary(Binary::TryOr, value, otherwise) => {
                let otherwise = otherwise.evaluate(slots, steps)?;
                match value.evaluate(slots, steps) {
                    Err(Failure::Error(_)) => Ok(otherwise),
                    other => other,
                }
            }
            Self::Binary(operator, left, right) => {
                let left = left.evaluate(slots, steps)?;
                let right = right.evaluate(slots, steps)?;
                binary(*operator, left, right, steps)
            }
            Self::Matches(text, regex) => match text.evaluate(slots, steps)? {
                Value::Text(text) => {
                    steps.take(text.len())?;
                    Ok(Value::Bool(regex.is_match(&text)))
                }
                _ => Err(EvaluationError::WrongType.into()),
            },
            Self::Quantified {
                every,
                over,
                parameter,
                body,
            } => {
                let over = over.evaluate(slots, steps)?;
                let mut each = |value: Value<'a>, steps: &mut Steps| {
                    steps.take(1)?;
                    if let Some(slot) = slots.get_mut(*parameter) {
                        *slot = Some(value);
                    }
                    body.holds(slots, steps)
                };
                quantified(*every, over, steps, &mut each).map(Value::Bool)
            }
        }
    }
}

/// Runs a closure on every item. An array has an order, so the answer may come early, as the
/// engine's does; a set or a map has none.
fn quantified<'a>(
    every: bool,
    over: Value<'a>,
    steps: &mut Steps,
    each: &mut impl FnMut(Value<'a>, &mut Steps) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let mut answer = every;
    match over {
        Value::Array(items) => {
            for item in items.items() {
                if each(item.value()?, steps)? != every {
                    return Ok(!every);
                }
            }
        }
        Value::Set(set) => {
            for item in set.items() {
                answer = combine(every, answer, each(Value::of(item), steps)?);
            }
        }
        Value::Map(map) => {
            for (key, value) in map.members() {
                let entry = Value::Array(Array::Entry(key, value));
                answer = combine(every, answer, each(entry, steps)?);
            }
        }
        _ => return Err(EvaluationError::WrongType.into()),
    }
    Ok(answer)
}

fn combine(every: bool, before: bool, now: bool) -> bool {
    match every {
        true => before && now,
        false => before || now,
    }
}

fn unary(operator: Unary, operand: Value<'_>) -> Evaluated<'_> {
    let length = |length: usize| Value::Integer(i64::try_from(length).unwrap_or(i64::MAX));
    Ok(match (operator, operand) {
        (Unary::Parens, any) => any,
        (Unary::Negate, Value::Bool(boolean)) => Value::Bool(!boolean),
        (Unary::TypeOf, any) => Value::text(any.type_name()),
        (Unary::Length, Value::Text(text)) => length(text.len()),
        (Unary::Length, Value::Bytes(bytes)) => length(bytes.len()),
        (Unary::Length, Value::Set(items)) => length(items.len()),
        (Unary::Length, Value::Array(items)) => length(items.len()),
        (Unary::Length, Value::Map(members)) => length(members.len()),
        _ => return Err(EvaluationError::WrongType.into()),
    })
}

/// The operators that evaluate both sides first.
fn binary<'a>(
    operator: Binary,
    left: Value<'a>,
    right: Value<'a>,
    steps: &mut Steps,
) -> Evaluated<'a> {
    match operator {
        Binary::Less | Binary::Greater | Binary::LessOrEqual | Binary::GreaterOrEqual => {
            let order = match (left, right) {
                (Value::Integer(a), Value::Integer(b)) => a.cmp(&b),
                (Value::Date(a), Value::Date(b)) => a.cmp(&b),
                _ => return Err(EvaluationError::WrongType.into()),
            };
            Ok(Value::Bool(match operator {
                Binary::Less => order.is_lt(),
                Binary::Greater => order.is_gt(),
                Binary::LessOrEqual => order.is_le(),
                _ => order.is_ge(),
            }))
        }
        Binary::Equal => left.same(&right, steps).map(Value::Bool),
        Binary::NotEqual => left.same(&right, steps).map(|same| Value::Bool(!same)),
        Binary::StrictEqual | Binary::StrictNotEqual => {
            if left.type_name() != right.type_name() {
                return Err(EvaluationError::WrongType.into());
            }
            let same = left.same(&right, steps)?;
            Ok(Value::Bool(same == (operator == Binary::StrictEqual)))
        }
        Binary::Contains => contains(left, right, steps),
        Binary::StartsWith | Binary::EndsWith => affix(operator, left, right, steps),
        Binary::Get => get(left, right, steps),
        Binary::Intersection | Binary::Union => sets(operator, left, right, steps),
        _ => arithmetic(operator, left, right, steps),
    }
}

fn contains<'a>(left: Value<'a>, right: Value<'a>, steps: &mut Steps) -> Evaluated<'a> {
    let wrong_type = || Failure::from(EvaluationError::WrongType);
    let answer = match (left, right) {
        (Value::Text(text), Value::Text(part)) => {
            steps.take_for_bytes(text.len())?;
            text.contains(&*part)
        }
        (Value::Set(set), Value::Set(part)) => {
            for item in part.items() {
                if !set.contains(&Value::of(item), steps)? {
                    return Ok(Value::Bool(false));
                }
            }
            true
        }
        (Value::Set(_), Value::Null | Value::Array(_) | Value::Map(_)) => {
            return Err(wrong_type());
        }
        (Value::Set(set), member) => set.contains(&member, steps)?,
        (Value::Array(items), member) => {
            for item in items.items() {
                steps.take(1)?;
                if item.value()?.same(&member, steps)? {
                    return Ok(Value::Bool(true));
                }
            }
            false
        }
        (Value::Map(map), Value::Text(key)) => map.get(KeyRef::Text(&key), steps)?.is_some(),
        (Value::Map(map), Value::Integer(key)) => map.get(KeyRef::Integer(key), steps)?.is_some(),
        (Value::Map(_), _) => false,
        _ => return Err(wrong_type()),
    };
    Ok(Value::Bool(answer))
}

fn affix<'a>(
    operator: Binary,
    left: Value<'a>,
    right: Value<'a>,
    steps: &mut Steps,
) -> Evaluated<'a> {
    let at_start = operator == Binary::StartsWith;
    let answer = match (left, right) {
        (Value::Text(text), Value::Text(affix)) => {
            steps.take_for_bytes(affix.len().min(text.len()))?;
            match at_start {
                true => text.starts_with(&*affix),
                false => text.ends_with(&*affix),
            }
        }
        (Value::Array(items), Value::Array(affix)) => match at_start {
            true => items.starts_with(affix, steps)?,
            false => items.ends_with(affix, steps)?,
        },
        _ => return Err(EvaluationError::WrongType.into()),
    };
    Ok(Value::Bool(answer))
}

/// What is not there is `null`.
fn get<'a>(left: Value<'a>, right: Value<'a>, steps: &mut Steps) -> Evaluated<'a> {
    let item = match (left, right) {
        (Value::Array(items), Value::Integer(index)) => usize::try_from(index)
            .ok()
            .and_then(|index| items.get(index)),
        (Value::Map(map), Value::Integer(key)) => map.get(KeyRef::Integer(key), steps)?,
        (Value::Map(map), Value::Text(key)) => map.get(KeyRef::Text(&key), steps)?,
        _ => return Err(EvaluationError::WrongType.into()),
    };
    item.map_or(Ok(Value::Null), Item::value)
}

fn sets<'a>(
    operator: Binary,
    left: Value<'a>,
    right: Value<'a>,
    steps: &mut Steps,
) -> Evaluated<'a> {
    let (Value::Set(left), Value::Set(right)) = (left, right) else {
        return Err(EvaluationError::WrongType.into());
    };
    let mut items: Vec<_> = left.items().collect();
    steps.take(left.len().saturating_add(right.len()))?;
    if operator == Binary::Union {
        items.extend(right.items());
        items.sort_unstable();
        items.dedup();
        return Ok(Value::Set(Set::Computed(items)));
    }
    let mut common = Vec::new();
    for item in items {
        if right.contains(&Value::of(item), steps)? {
            common.push(item);
        }
    }
    Ok(Value::Set(Set::Computed(common)))
}

fn arithmetic<'a>(
    operator: Binary,
    left: Value<'a>,
    right: Value<'a>,
    steps: &mut Steps,
) -> Evaluated<'a> {
    let (a, b) = match (operator, left, right) {
        (_, Value::Integer(a), Value::Integer(b)) => (a, b),
        (Binary::Add, Value::Text(a), Value::Text(b)) => {
            steps.take_for_bytes(a.len().saturating_add(b.len()))?;
            return Ok(Value::Text(Cow::Owned(format!("{a}{b}"))));
        }
        _ => return Err(EvaluationError::WrongType.into()),
    };
    let result = match operator {
        Binary::Add => a.checked_add(b).ok_or(EvaluationError::Overflow),
        Binary::Subtract => a.checked_sub(b).ok_or(EvaluationError::Overflow),
        Binary::Multiply => a.checked_mul(b).ok_or(EvaluationError::Overflow),
        Binary::Divide => a.checked_div(b).ok_or(EvaluationError::Division),
        Binary::BitAnd => Ok(a & b),
        Binary::BitOr => Ok(a | b),
        Binary::BitXor => Ok(a ^ b),
        _ => Err(EvaluationError::WrongType),
    };
    Ok(Value::Integer(result?))
}
