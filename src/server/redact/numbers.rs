//! Numbers of payment cards.

use std::ops::Range;

/// Digits of the shortest and the longest number of a card that is looked for.
const DIGITS: Range<usize> = 14..17;

/// Whether a text has so many digits in a row, but for spaces and hyphens, that they could be a card's. Looks at few bytes: in each stretch of
/// 14 one is in the row.
pub(super) fn has_long(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b' ' | b'-');
    let mut at = DIGITS.start - 1;
    while let Some(byte) = text.get(at) {
        if is_part(byte) {
            let start = text[..at].iter().rposition(|byte| !is_part(byte)).map_or(0, |before| before + 1);
            let end = text[at..].iter().position(|byte| !is_part(byte)).map_or(text.len(), |length| at + length);
            if text[start..end].iter().filter(|byte| byte.is_ascii_digit()).count() >= DIGITS.start {
                return true;
            }
            at = end;
        }
        at += DIGITS.start;
    }
    false
}

/// Whether what stands in `range` is the number of a card and no part of a longer word or number: the digits that issuers use, with the right check digit.
/// Times since 1970, ids of 64 bits and the digits of fractions are none.
pub(super) fn is_card(text: &str, range: &Range<usize>) -> bool {
    let joins = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let before = text.as_bytes()[..range.start].last().copied();
    let mut after = text.as_bytes()[range.end..].iter().copied();
    let (next, next_but_one) = (after.next(), after.next());
    if before.is_some_and(joins)
        || next.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        || (next == Some(b'.') && next_but_one.is_some_and(|byte| byte.is_ascii_digit()))
    {
        return false;
    }
    let digits: Vec<u8> = text[range.clone()].bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
    DIGITS.contains(&digits.len()) && is_issued(&digits) && checks(&digits)
}

/// Whether an issuer's numbers begin like this and are as long.
fn is_issued(digits: &[u8]) -> bool {
    let first = digits.iter().take(4).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    match digits.len() {
        // Diners Club.
        14 => matches!(first, 3000..=3059 | 3600..=3699 | 3800..=3999),
        // American Express.
        15 => matches!(first, 3400..=3499 | 3700..=3799),
        // Visa, Mastercard, Discover, UnionPay, JCB.
        _ => matches!(first, 4000..=4999 | 5100..=5599 | 2221..=2720 | 6011 | 6440..=6599 | 6200..=6299 | 3528..=3589),
    }
}

/// Luhn's check of the last digit.
fn checks(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}
