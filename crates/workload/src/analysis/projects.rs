//! Projects: proposals belong to the one whose keywords they have.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use taskscope_wire::Project;
use uuid::Uuid;

use super::checks;
use crate::ServiceError;

/// The most keywords of a project.
const MOST_KEYWORDS: usize = 200;

/// The body of `POST /api/v1/projects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its name, 1 to 200 characters; no other project has it.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// Words by which its messages are known, 1 to 200; a word also stands for those that begin with it.
    pub keywords: Vec<String>,
    /// Whether proposals are matched with it.
    #[serde(default = "active")]
    pub is_active: bool,
}

/// The body of `PUT /api/v1/projects/{id}`: what is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ProjectChange {
    /// Its name, 1 to 200 characters; no other project has it.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Words by which its messages are known, 1 to 200; a word also stands for those that begin with it.
    pub keywords: Option<Vec<String>>,
    /// Whether proposals are matched with it.
    pub is_active: Option<bool>,
}

const fn active() -> bool {
    true
}

/// The projects, by name.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn list(pool: &PgPool) -> Result<Vec<Project>, ServiceError> {
    let projects =
        sqlx::query_as!(Project, "select id, name, description, keywords, is_active, created_at from projects order by name, id");
    Ok(projects.fetch_all(pool).await?)
}

/// One project.
///
/// # Errors
/// There is no such project, or Postgres doesn't answer.
pub async fn get(pool: &PgPool, id: Uuid) -> Result<Project, ServiceError> {
    let project =
        sqlx::query_as!(Project, "select id, name, description, keywords, is_active, created_at from projects where id = $1", id);
    project.fetch_optional(pool).await?.ok_or_else(|| not_found(id))
}

/// Makes a project.
///
/// # Errors
/// A field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn create(pool: &PgPool, new: &NewProject) -> Result<Project, ServiceError> {
    let keywords = check(Some(&new.name), Some(&new.description), Some(&new.keywords))?.unwrap_or_default();
    let created = sqlx::query_as!(
        Project,
        "insert into projects (name, description, keywords, is_active) values (trim($1), $2, $3, $4)
         returning id, name, description, keywords, is_active, created_at",
        new.name,
        new.description,
        &keywords,
        new.is_active,
    );
    Ok(created.fetch_one(pool).await?)
}

/// Changes a project. Proposals that are there already stay where they are.
///
/// # Errors
/// There is no such project, a field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn change(pool: &PgPool, id: Uuid, change: &ProjectChange) -> Result<Project, ServiceError> {
    let keywords = check(change.name.as_deref(), change.description.as_deref(), change.keywords.as_deref())?;
    let changed = sqlx::query_as!(
        Project,
        "update projects set updated_at = now(), name = coalesce(trim($2), name), description = coalesce($3, description),
             keywords = coalesce($4, keywords), is_active = coalesce($5, is_active)
         where id = $1 returning id, name, description, keywords, is_active, created_at",
        id,
        change.name.as_deref() as Option<&str>,
        change.description.as_deref() as Option<&str>,
        keywords.as_deref() as Option<&[String]>,
        change.is_active as Option<bool>,
    );
    changed.fetch_optional(pool).await?.ok_or_else(|| not_found(id))
}

/// Deletes a project.
///
/// # Errors
/// There is no such project, a run or a proposal belongs to it, or Postgres doesn't answer.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<(), ServiceError> {
    let deleted = sqlx::query!("delete from projects where id = $1", id).execute(pool).await?;
    if deleted.rows_affected() == 0 { Err(not_found(id)) } else { Ok(()) }
}

/// Checks what is given; the keywords without the blanks around them.
fn check(
    name: Option<&str>,
    description: Option<&str>,
    keywords: Option<&[String]>,
) -> Result<Option<Vec<String>>, ServiceError> {
    checks::given(name, |name| checks::name("name", name))?;
    checks::given(description, |text| checks::text("description", text, 0..=10_000))?;
    let Some(keywords) = keywords else { return Ok(None) };
    if !(1..=MOST_KEYWORDS).contains(&keywords.len()) {
        return Err(ServiceError::Invalid(format!("keywords must be 1 to {MOST_KEYWORDS} words, not {}", keywords.len())));
    }
    for (index, keyword) in keywords.iter().enumerate() {
        checks::text(&format!("keywords[{index}]"), keyword, 1..=100)?;
    }
    Ok(Some(keywords.iter().map(|keyword| keyword.trim().to_owned()).collect()))
}

fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("project {id}"))
}
