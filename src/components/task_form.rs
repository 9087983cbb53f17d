use leptos::prelude::*;
use serde_json::{Map, Value};
use taskscope_wire::{Json, TaskType};

/// A field of a form that is made from a JSON Schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The parameter.
    pub name: String,
    /// What it is, in words.
    pub description: Option<String>,
    /// Whether it must be given.
    pub required: bool,
    /// How it is asked for.
    pub kind: Kind,
}

/// How a parameter is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A whole number, with its bounds.
    Integer(Option<i64>, Option<i64>),
    /// A number.
    Number,
    /// A text.
    Text,
    /// One of these words.
    Choice(Vec<String>),
    /// Anything else: a list, an object, or what may be of several types.
    Json,
}

/// The fields of a task's params; none where the schema is no plain object, and the params are asked for as one JSON text.
#[must_use]
pub fn fields_of(schema: &Json) -> Option<Vec<Field>> {
    let schema: Value = serde_json::from_str(schema.as_str()).ok()?;
    if schema.get("oneOf").or_else(|| schema.get("anyOf")).is_some() {
        return None;
    }
    let empty = Map::new();
    let properties = schema.get("properties").map_or(Some(&empty), Value::as_object)?;
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    Some(
        properties
            .iter()
            .map(|(name, property)| Field {
                name: name.clone(),
                description: property.get("description").and_then(Value::as_str).map(|text| text.replace('`', "")),
                required: required.contains(&name.as_str()),
                kind: kind_of(resolved(property, &schema)),
            })
            .collect(),
    )
}

/// What a reference to a definition of the schema stands for.
fn resolved<'a>(property: &'a Value, schema: &'a Value) -> &'a Value {
    // An optional one is "this or null".
    let alternatives = property.get("anyOf").and_then(Value::as_array);
    let chosen = alternatives.and_then(|all| all.iter().find(|one| one.get("type") != Some(&"null".into()))).unwrap_or(property);
    let pointer = chosen.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| schema.pointer(pointer)).unwrap_or(chosen)
}

fn kind_of(property: &Value) -> Kind {
    let words = |values: &[Value]| values.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    if let Some(choices) = property.get("enum").and_then(Value::as_array) {
        return Kind::Choice(words(choices));
    }
    if let Some(choices) = property.get("oneOf").and_then(Value::as_array) {
        let constants: Vec<Value> = choices.iter().filter_map(|choice| choice.get("const").cloned()).collect();
        return if constants.len() == choices.len() { Kind::Choice(words(&constants)) } else { Kind::Json };
    }
    let types: Vec<&str> = match property.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect(),
        _ => Vec::new(),
    };
    let bound = |name: &str| property.get(name).and_then(Value::as_i64);
    match types[..] {
        ["integer"] => Kind::Integer(bound("minimum"), bound("maximum")),
        ["number"] => Kind::Number,
        ["string"] => Kind::Text,
        ["boolean"] => Kind::Choice(vec!["true".to_owned(), "false".to_owned()]),
        _ => Kind::Json,
    }
}

/// The params that the texts of a form mean. A field that is empty is left out.
///
/// # Errors
/// A sentence that names the field and what is allowed.
pub fn params_of(fields: &[(Field, String)]) -> Result<Json, String> {
    let mut params = Map::new();
    for (field, text) in fields {
        let text = text.trim();
        if text.is_empty() {
            if field.required {
                return Err(format!("{} must be given", field.name));
            }
            continue;
        }
        let value = match &field.kind {
            Kind::Text => Value::from(text),
            Kind::Choice(words) if words[..] != ["true", "false"] => Value::from(text),
            Kind::Integer(..) => text
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| format!("{} must be a whole number, not {text:?}", field.name))?,
            Kind::Number | Kind::Choice(_) | Kind::Json => {
                serde_json::from_str(text).map_err(|error| format!("{} is no JSON: {error}", field.name))?
            }
        };
        params.insert(field.name.clone(), value);
    }
    Ok(Value::Object(params).into())
}

/// The text of a field that stands for what an execution was called with.
fn text_of(params: Option<&Json>, name: &str) -> String {
    let params: Option<Value> = params.and_then(|params| serde_json::from_str(params.as_str()).ok());
    match params.as_ref().and_then(|params| params.get(name)) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The form that runs a task: a field for each of its params, or one for all of them as JSON.
#[component]
pub fn TaskForm(
    /// The task type.
    task: TaskType,
    /// The params to begin with.
    params: Option<Json>,
    /// What is wrong with what was sent.
    #[prop(into)]
    error: Signal<Option<String>>,
    /// Whether the answer is on its way.
    #[prop(into)]
    busy: Signal<bool>,
    /// Takes the params, or what is wrong with them.
    #[prop(into)]
    submit: Callback<Result<Json, String>>,
    /// Closes the form.
    #[prop(into)]
    close: Callback<()>,
) -> impl IntoView {
    let fields: Option<Vec<(Field, RwSignal<String>)>> = fields_of(&task.params_schema).map(|fields| {
        fields
            .into_iter()
            .map(|field| {
                let text = text_of(params.as_ref(), &field.name);
                (field, RwSignal::new(text))
            })
            .collect()
    });
    let whole = RwSignal::new(params.map_or_else(|| "{}".to_owned(), |params| params.pretty()));
    let read = {
        let fields = fields.clone();
        move || match &fields {
            Some(fields) => {
                params_of(&fields.iter().map(|(field, text)| (field.clone(), text.get_untracked())).collect::<Vec<_>>())
            }
            None => Json::parse(whole.get_untracked()).map_err(|error| format!("the params are no JSON: {error}")),
        }
    };
    let inputs = match fields {
        Some(fields) if fields.is_empty() => view! { <p class="field-hint">"It takes no params."</p> }.into_any(),
        Some(fields) => fields.into_iter().map(|(field, text)| view! { <Input field text/> }).collect_view().into_any(),
        None => {
            let field = Field { name: "params".to_owned(), description: None, required: true, kind: Kind::Json };
            view! { <Input field text=whole/> }.into_any()
        }
    };
    view! {
        <form
            class="task-form"
            on:submit=move |event| {
                event.prevent_default();
                submit.run(read());
            }
        >
            {inputs}
            <p class="task-form-error" role="alert" data-testid="task-error">{move || error.get()}</p>
            <div class="task-form-buttons">
                <button type="button" class="button" on:click=move |_| close.run(())>"Cancel"</button>
                <button type="submit" class="button button-primary" disabled=move || busy.get()>
                    {move || if busy.get() { "Sending…" } else { "Run" }}
                </button>
            </div>
        </form>
    }
}

#[component]
fn Input(field: Field, text: RwSignal<String>) -> impl IntoView {
    let Field { name, description, required, kind } = field;
    let id = format!("param-{name}");
    let hint = format!("{id}-hint");
    let set = move |event: leptos::ev::Event| text.set(event_target_value(&event));
    let described = description.is_some().then(|| hint.clone());
    let input = match kind {
        Kind::Choice(words) => {
            let options = words.into_iter().map(|word| {
                let own = word.clone();
                view! { <option value=word.clone() prop:selected=move || text.read() == own>{word.clone()}</option> }
            });
            view! {
                <select id=id.clone() name=name.clone() required=required aria-describedby=described on:change=set>
                    <option value="" prop:selected=move || text.read().is_empty()>{if required { "Choose…" } else { "(not given)" }}</option>
                    {options.collect_view()}
                </select>
            }
            .into_any()
        }
        Kind::Json => view! {
            <textarea id=id.clone() name=name.clone() rows="4" spellcheck="false" required=required aria-describedby=described prop:value=text on:input=set>
                {text.get_untracked()}
            </textarea>
        }
        .into_any(),
        Kind::Integer(least, most) => view! {
            <input
                id=id.clone() name=name.clone() type="number" step="1" min=least.map(|n| n.to_string()) max=most.map(|n| n.to_string())
                required=required aria-describedby=described prop:value=text on:input=set
            />
        }
        .into_any(),
        Kind::Number => view! {
            <input id=id.clone() name=name.clone() type="number" step="any" required=required aria-describedby=described prop:value=text on:input=set/>
        }
        .into_any(),
        Kind::Text => view! {
            <input id=id.clone() name=name.clone() type="text" required=required aria-describedby=described prop:value=text on:input=set/>
        }
        .into_any(),
    };
    view! {
        <div class="field">
            <label for=id>
                {name}
                {(!required).then(|| view! { <span class="field-optional">" (optional)"</span> })}
            </label>
            {input}
            {description.map(|description| view! { <p id=hint class="field-hint">{description}</p> })}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<Field> {
        let schema = r##"{"type": "object", "required": ["message_id", "source"], "properties": {
            "message_id": {"type": "integer", "minimum": 1, "description": "Which one"},
            "limit": {"type": ["integer", "null"], "maximum": 9},
            "source": {"$ref": "#/$defs/Source"},
            "deep": {"type": "boolean"},
            "ids": {"type": "array", "items": {"type": "integer"}},
            "mode": {"anyOf": [{"$ref": "#/$defs/Source"}, {"type": "null"}]}
        }, "$defs": {"Source": {"oneOf": [{"const": "bot_api"}, {"const": "export"}]}}}"##;
        fields_of(&Json::parse(schema.to_owned()).unwrap()).unwrap()
    }

    fn with(texts: &[(&str, &str)]) -> Result<Json, String> {
        let text = |name: &str| texts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text).to_owned();
        params_of(
            &fields()
                .into_iter()
                .map(|field| {
                    let text = text(&field.name);
                    (field, text)
                })
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_schema_becomes_fields() {
        let fields = fields();
        let kind = |name: &str| fields.iter().find(|field| field.name == name).unwrap().kind.clone();
        let sources = Kind::Choice(vec!["bot_api".to_owned(), "export".to_owned()]);
        assert_eq!((kind("message_id"), kind("limit")), (Kind::Integer(Some(1), None), Kind::Integer(None, Some(9))));
        assert_eq!((kind("source"), kind("mode"), kind("ids")), (sources.clone(), sources, Kind::Json));
        assert_eq!(fields.iter().filter(|field| field.required).count(), 2);
        assert_eq!(fields_of(&Json::parse(r#"{"oneOf": []}"#.to_owned()).unwrap()), None);
    }

    #[test]
    fn texts_become_params() {
        let params = with(&[("message_id", " 7 "), ("source", "export"), ("deep", "true"), ("ids", "[1, 2]")]).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(params.as_str()).unwrap(),
            serde_json::json!({"message_id": 7, "source": "export", "deep": true, "ids": [1, 2]})
        );
        assert_eq!(text_of(Some(&params), "ids"), "[1,2]");
        assert_eq!(text_of(Some(&params), "source"), "export");
    }

    #[test]
    fn wrong_texts_name_the_field() {
        for (texts, name) in [
            (&[("source", "export")][..], "message_id must be given"),
            (&[("message_id", "x"), ("source", "export")], "message_id must be a whole number"),
            (&[("message_id", "1"), ("source", "export"), ("ids", "[1")], "ids is no JSON"),
        ] {
            assert!(with(texts).unwrap_err().contains(name), "{texts:?}");
        }
    }
}
