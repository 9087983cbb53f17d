use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// How many there are in all, exactly.
    pub total_count: i64,
    /// This page, from 1.
    pub page: i64,
    /// Items a page.
    pub page_size: i64,
    /// How many pages there are; 0 where there is nothing.
    pub total_pages: i64,
    /// The items.
    pub items: Vec<T>,
}

impl<T> Page<T> {
    /// The largest page.
    pub const LARGEST: i64 = 50;

    /// A page of a list of which so many items there are.
    #[must_use]
    pub fn new(total_count: i64, page: i64, page_size: i64, items: Vec<T>) -> Self {
        let total_pages = (total_count + page_size - 1) / page_size.max(1);
        Self { total_count, page, page_size, total_pages, items }
    }
}

/// The last page that can be asked for, whatever there is.
pub(crate) const LAST_PAGE: u32 = 1_000_000_000;

/// Checks which page is asked for, and of what size.
///
/// # Errors
/// A sentence that names the parameter and what is allowed.
pub fn check_page(page: i64, page_size: i64) -> Result<(), String> {
    if !(1..=i64::from(LAST_PAGE)).contains(&page) {
        return Err(format!("page must be 1 to {LAST_PAGE}, not {page}"));
    }
    if !(1..=Page::<()>::LARGEST).contains(&page_size) {
        return Err(format!("page_size must be 1 to {}, not {page_size}", Page::<()>::LARGEST));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted() {
        let pages = |total| Page::<()>::new(total, 1, 50, Vec::new()).total_pages;
        assert_eq!((pages(0), pages(1), pages(50), pages(51)), (0, 1, 1, 2));
    }

    #[test]
    fn impossible_pages_are_refused() {
        assert_eq!(check_page(0, 50).unwrap_err(), "page must be 1 to 1000000000, not 0");
        assert_eq!(check_page(1, 51).unwrap_err(), "page_size must be 1 to 50, not 51");
        assert_eq!(check_page(7, 50), Ok(()));
    }
}
