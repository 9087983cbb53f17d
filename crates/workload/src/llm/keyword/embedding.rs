//! Embeddings without a model: a text is the bag of its words, each hashed to a place.

use sha2::{Digest, Sha256};

const DIMENSIONS: usize = 256;
/// How much of a word counts, in characters, so that its endings make no difference.
const STEM: usize = 6;
/// Words that say nothing of what a text is about.
const COMMON: [&str; 24] = [
    "the", "and", "for", "that", "this", "with", "was", "are", "has", "have", "from", "not", "but", "you", "can", "will", "its",
    "при", "для", "але", "що", "як", "не", "це",
];

/// Where a text lies: a vector of length 1. Texts with the same words lie together.
pub(in crate::llm) fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS];
    let text = text.to_lowercase();
    let words = text.split(|character: char| !character.is_alphanumeric()).filter(|word| word.chars().count() > 1);
    for word in words.filter(|word| !COMMON.contains(word)) {
        let stem: String = word.chars().take(STEM).collect();
        let hash = Sha256::digest(stem.as_bytes());
        let sign = if hash[1] & 1 == 0 { 1.0 } else { -1.0 };
        vector[usize::from(hash[0])] += sign;
    }
    let length = vector.iter().map(|part| part * part).sum::<f32>().sqrt();
    if length == 0.0 {
        // A text without words has its place too.
        vector[0] = 1.0;
        return vector;
    }
    vector.iter().map(|part| part / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_about_the_same_lie_together() {
        let near = |one: &str, other: &str| embed(one).iter().zip(embed(other)).map(|(one, other)| one * other).sum::<f32>();
        let about = near("imports fail with files made by Excel", "the import of Excel files fails");
        assert!(about > 0.6, "{about}");
        assert!(near("imports fail with files made by Excel", "who has coffee beans left?") < 0.3);
        assert!((near("", "?!") - 1.0).abs() < 1e-6);
    }
}
