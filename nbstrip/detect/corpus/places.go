package corpus

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"strings"
)

// Place is one way of leaving a secret in a notebook.
type Place struct {
	Name  string
	write func(r *rand.Rand, s *secret) cell
}

// secret is what is planted.
type secret struct {
	value, core string // core is the part of value that is secret
	env, name   string // OPENAI_API_KEY, openai_api_key
	label, lib  string
	short       string // the name without its provider: api_key
	start, end  int    // of core in value
	user, host  string
}

// cell is a cell with a secret.
type cell struct {
	source   string
	markdown bool
	metadata map[string]any
	outputs  []any
	notebook map[string]any // members of the notebook's metadata
	split    bool           // the source is cut at any place, not only at its line ends
	apart    bool           // the value is in pieces
	also     string         // the same for the rest of the core
	want     string         // what stands in the decoded text and must be covered; empty for the core
}

func src(format string, args ...any) cell { return cell{source: fmt.Sprintf(format, args...)} }

// py is value as the inside of a Python string.
func py(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

func stream(text string) any {
	return map[string]any{"output_type": "stream", "name": "stdout", "text": lines(text)}
}

func result(data map[string]any) any {
	for k, v := range data {
		if s, ok := v.(string); ok {
			data[k] = lines(s)
		}
	}
	return map[string]any{"output_type": "execute_result", "execution_count": 7, "metadata": map[string]any{}, "data": data}
}

func failure(name, value string, traceback ...string) any {
	return map[string]any{"output_type": "error", "ename": name, "evalue": value, "traceback": traceback}
}

func printed(source, text string) cell { return cell{source: source, outputs: []any{stream(text)}} }

func shown(source string, data map[string]any) cell {
	return cell{source: source, outputs: []any{result(data)}}
}

// encoded64 is the base64 of text, and the characters of it that hold its core.
func encoded64(text, core string) (all, want string) {
	all = base64.StdEncoding.EncodeToString([]byte(text))
	at := strings.Index(text, core)
	first, last := 8*at/6, (8*(at+len(core))+5)/6
	return all, all[first:last]
}

func pygments(parts ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(parts); i += 2 {
		fmt.Fprintf(&b, `<span class="%s">%s</span>`, parts[i], strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(parts[i+1]))
	}
	return b.String()
}

// frame is a DataFrame as pandas prints it, cells right-aligned.
func frame(header []string, rows [][]string) string {
	width := make([]int, len(header))
	for i, h := range header {
		width[i] = len(h)
		for _, row := range rows {
			width[i] = max(width[i], len(row[i]))
		}
	}
	var b strings.Builder
	b.WriteString(" ")
	for i, h := range header {
		fmt.Fprintf(&b, " %*s", width[i]+1, h)
	}
	for n, row := range rows {
		fmt.Fprintf(&b, "\n%d", n)
		for i, v := range row {
			fmt.Fprintf(&b, " %*s", width[i]+1, v)
		}
	}
	return b.String()
}

func frameHTML(header []string, rows [][]string) string {
	var b strings.Builder
	b.WriteString("<div>\n<style scoped>\n    .dataframe tbody tr th:only-of-type {\n        vertical-align: middle;\n    }\n</style>\n<table border=\"1\" class=\"dataframe\">\n  <thead>\n    <tr style=\"text-align: right;\">\n      <th></th>\n")
	for _, h := range header {
		fmt.Fprintf(&b, "      <th>%s</th>\n", html.EscapeString(h))
	}
	b.WriteString("    </tr>\n  </thead>\n  <tbody>\n")
	for n, row := range rows {
		fmt.Fprintf(&b, "    <tr>\n      <th>%d</th>\n", n)
		for _, v := range row {
			fmt.Fprintf(&b, "      <td>%s</td>\n", html.EscapeString(v))
		}
		b.WriteString("    </tr>\n")
	}
	b.WriteString("  </tbody>\n</table>\n</div>")
	return b.String()
}

func settings(s *secret) (header []string, rows [][]string) {
	return []string{"setting", "value"}, [][]string{{"region", "eu-west-1"}, {s.env, s.value}, {"timeout", "30"}}
}

func accounts(s *secret) (header []string, rows [][]string) {
	return []string{"user", s.short, "active"}, [][]string{{s.user, s.value, "True"}}
}

const esc = "\x1b["

func ansi(s *secret) string {
	return esc + "0;31m---------------------------------------------------------------------------" + esc + "0m\n" + esc + "0;31mAuthenticationError" + esc + "0m                       Traceback (most recent call last)\nCell " + esc + "0;32mIn[3], line 2" + esc + "0m\n" +
		"      1 " + esc + "38;5;28;01mimport" + esc + "39;00m " + s.lib + "\n" +
		"----> 2 client " + esc + "38;5;241m=" + esc + "39m " + s.lib + esc + "38;5;241m." + esc + "39mconnect(" + s.short + esc + "38;5;241m=" + esc + "39m" + esc + "38;5;124m\"" + esc + "39m" + esc + "38;5;124m" + py(s.value) + esc + "39m" + esc + "38;5;124m\"" + esc + "39m)\n"
}

// ansiOld is how IPython 7 coloured the line.
func ansiOld(s *secret) string {
	return esc + "0;32m<ipython-input-5-3f1c>" + esc + "0m in " + esc + "0;36m<module>" + esc + "0;34m" + esc + "0m\n" + esc + "0;32m----> 1" + esc + "0;31m " + esc + "0m" + s.name + esc + "0m" + esc + "0;34m=" + esc + "0m" + esc + "0;34m'" + py(s.value) + "'" + esc + "0m" + esc + "0;34m;" + esc + "0m" + esc + "0;34m" + esc + "0m\n"
}

func cut(r *rand.Rand, v string) (a, b string) {
	at := len(v)/3 + r.IntN(max(1, len(v)/3))
	return v[:at], v[at:]
}

func widget(model, description, value string) map[string]any {
	return map[string]any{"widgets": map[string]any{"application/vnd.jupyter.widget-state+json": map[string]any{
		"state": map[string]any{"4f6c1e3ab0": map[string]any{"model_module": "@jupyter-widgets/controls", "model_module_version": "2.0.0", "model_name": model, "state": map[string]any{
			"_view_name": strings.Replace(model, "Model", "View", 1), "continuous_update": true, "description": description, "disabled": false, "layout": "IPY_MODEL_9d0a", "placeholder": "", "value": value,
		}}}, "version_major": 2, "version_minor": 0,
	}}}
}

// Places returns all places.
func Places() []Place {
	return []Place{
		// Code.
		{"assign", func(_ *rand.Rand, s *secret) cell {
			return src("import %s\n\n%s = \"%s\"\n", s.lib, s.name, py(s.value))
		}},
		{"assign-single", func(_ *rand.Rand, s *secret) cell { return src("%s='%s'\nprint('ready')", s.name, py(s.value)) }},
		{"assign-const", func(_ *rand.Rand, s *secret) cell { return src("%s = '%s'  # do not commit", s.env, py(s.value)) }},
		{"assign-typed", func(_ *rand.Rand, s *secret) cell { return src("%s: str = \"%s\"", s.name, py(s.value)) }},
		{"assign-escaped-list", func(_ *rand.Rand, s *secret) cell {
			c := src("%s = \"%s\"\nclient = make_client(%s)\n", s.name, py(s.value), s.name)
			c.split = true
			return c
		}},
		{"environ-item", func(_ *rand.Rand, s *secret) cell {
			return src("import os\nos.environ[\"%s\"] = \"%s\"\n", s.env, py(s.value))
		}},
		{"environ-item-single", func(_ *rand.Rand, s *secret) cell { return src("os.environ['%s']='%s'", s.env, py(s.value)) }},
		{"environ-setdefault", func(_ *rand.Rand, s *secret) cell {
			return src("os.environ.setdefault(\"%s\", \"%s\")", s.env, py(s.value))
		}},
		{"environ-update", func(_ *rand.Rand, s *secret) cell {
			return src("os.environ.update({'REGION': 'eu', '%s': '%s'})", s.env, py(s.value))
		}},
		{"environ-update-kwarg", func(_ *rand.Rand, s *secret) cell { return src("os.environ.update(%s=\"%s\")", s.env, py(s.value)) }},
		{"putenv", func(_ *rand.Rand, s *secret) cell { return src("os.putenv('%s', '%s')", s.env, py(s.value)) }},
		{"getenv-default", func(_ *rand.Rand, s *secret) cell {
			return src("%s = os.getenv(\"%s\", \"%s\")", s.name, s.env, py(s.value))
		}},
		{"getenv-or", func(_ *rand.Rand, s *secret) cell {
			return src("%s = os.environ.get('%s') or '%s'", s.name, s.env, py(s.value))
		}},
		{"keyword", func(_ *rand.Rand, s *secret) cell {
			return src("client = %s.Client(%s=\"%s\", timeout=30)", s.lib, s.short, py(s.value))
		}},
		{"keyword-lines", func(_ *rand.Rand, s *secret) cell {
			return src("conn = connect(\n    host=\"%s\",\n    user='%s',\n    %s='%s',\n)", s.host, s.user, s.short, py(s.value))
		}},
		{"login-call", func(_ *rand.Rand, s *secret) cell {
			return src("%s.login(%s=\"%s\")", s.lib, loginName(s), py(s.value))
		}},
		{"login-positional", func(_ *rand.Rand, s *secret) cell {
			return src("import %s\n%s.login(\"%s\")", s.lib, s.lib, py(s.value))
		}},
		{"basic-auth", func(_ *rand.Rand, s *secret) cell {
			return src("r = requests.get(url, auth=(\"%s\", \"%s\"))", s.user, py(s.value))
		}},
		{"module-attribute", func(_ *rand.Rand, s *secret) cell { return src("%s.%s = '%s'", s.lib, s.short, py(s.value)) }},
		{"default-parameter", func(_ *rand.Rand, s *secret) cell {
			return src("def query(q, %s=\"%s\", limit=10):\n    return call(q, limit)", s.name, py(s.value))
		}},
		{"dict", func(_ *rand.Rand, s *secret) cell {
			return src("config = {\n    \"host\": \"%s\",\n    \"%s\": \"%s\",\n}", s.host, s.short, py(s.value))
		}},
		{"dict-item", func(_ *rand.Rand, s *secret) cell { return src("cfg['%s'] = '%s'", s.name, py(s.value)) }},
		{"dict-call", func(_ *rand.Rand, s *secret) cell {
			return src("opts = dict(retries=3, %s='%s')", s.short, py(s.value))
		}},
		{"headers", func(_ *rand.Rand, s *secret) cell {
			return src("headers = {\"Authorization\": \"Bearer %s\", \"Accept\": \"application/json\"}", py(s.value))
		}},
		{"headers-key", func(_ *rand.Rand, s *secret) cell { return src("headers={'X-API-Key': '%s'}", py(s.value)) }},
		{"json-string", func(_ *rand.Rand, s *secret) cell {
			return src("cfg = json.loads('''{\"user\": \"%s\", \"%s\": \"%s\"}''')", s.user, s.short, py(s.value))
		}},
		{"json-escaped", func(_ *rand.Rand, s *secret) cell {
			return src(`payload = "{\"user\": \"%s\", \"%s\": \"%s\"}"`, s.user, s.short, py(py(s.value))).wants(py(py(s.core)))
		}},
		{"concatenation", func(r *rand.Rand, s *secret) cell {
			a, b := cut(r, py(s.value))
			return src("%s = \"%s\" \"%s\"", s.name, a, b).wantsJoined(s, a, b, `" "`)
		}},
		{"concatenation-lines", func(r *rand.Rand, s *secret) cell {
			a, b := cut(r, py(s.value))
			return src("%s = (\n    '%s'\n    '%s'\n)", s.name, a, b).wantsJoined(s, a, b, "'\n    '")
		}},
		{"concatenation-plus", func(r *rand.Rand, s *secret) cell {
			a, b := cut(r, py(s.value))
			return src("%s = \"%s\" + \"%s\"\n", s.name, a, b).wantsJoined(s, a, b, `" + "`)
		}},
		{"f-string-url", func(_ *rand.Rand, s *secret) cell {
			return src("url = f\"https://api.%s/v1/search?%s=%s&q={query}\"", s.host, s.short, py(s.value))
		}},
		{"f-string-header", func(_ *rand.Rand, s *secret) cell {
			return src("h = {'Authorization': f'Bearer %s', 'X-Run': f'{run_id}'}", py(s.value))
		}},
		{"format-call", func(_ *rand.Rand, s *secret) cell {
			return src("q = \"user={} %s={}\".format(\"%s\", \"%s\")", s.short, s.user, py(s.value))
		}},
		{"argv-list", func(_ *rand.Rand, s *secret) cell {
			return src("subprocess.run([\"tool\", \"--%s\", \"%s\", \"sync\"])", dashes(s.short), py(s.value))
		}},
		{"comment", func(_ *rand.Rand, s *secret) cell { return src("# %s: %s\nx = load()", s.label, s.value) }},
		{"comment-code", func(_ *rand.Rand, s *secret) cell {
			return src("# %s = \"%s\"\n%s = os.environ[\"%s\"]", s.name, py(s.value), s.name, s.env)
		}},
		{"bare-string", func(_ *rand.Rand, s *secret) cell { return src("connect_with('%s')", py(s.value)) }},
		{"javascript", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%javascript\nconst %s = '%s';", camel(s.name), py(s.value))
		}},
		{"r-setenv", func(_ *rand.Rand, s *secret) cell { return src("Sys.setenv(%s = \"%s\")", s.env, py(s.value)) }},
		{"r-assign", func(_ *rand.Rand, s *secret) cell { return src("%s <- \"%s\"", s.name, py(s.value)) }},
		{"julia-env", func(_ *rand.Rand, s *secret) cell { return src("ENV[\"%s\"] = \"%s\"", s.env, py(s.value)) }},
		{"spark-conf", func(_ *rand.Rand, s *secret) cell {
			return src("spark.conf.set(\"spark.hadoop.%s\", \"%s\")", strings.ReplaceAll(s.name, "_", "."), py(s.value))
		}},
		{"dataclass", func(_ *rand.Rand, s *secret) cell {
			return src("@dataclass\nclass Settings:\n    host: str = '%s'\n    %s: str = field(default='%s')", s.host, s.short, py(s.value))
		}},

		// Magics and shells.
		{"env-magic", func(_ *rand.Rand, s *secret) cell { return src("%%env %s=%s", s.env, py(s.value)) }},
		{"env-magic-space", func(_ *rand.Rand, s *secret) cell { return src("%%env %s %s", s.env, py(s.value)) }},
		{"set-env-magic", func(_ *rand.Rand, s *secret) cell { return src("%%set_env %s=%s\n", s.env, py(s.value)) }},
		{"bash-export", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%bash\nexport %s='%s'\n./run.sh", s.env, py(s.value))
		}},
		{"bang-variable", func(_ *rand.Rand, s *secret) cell { return src("!%s=\"%s\" python train.py", s.env, py(s.value)) }},
		{"bang-flag", func(_ *rand.Rand, s *secret) cell {
			return src("!tool deploy --%s '%s' --yes", dashes(s.short), py(s.value))
		}},
		{"bang-flag-equals", func(_ *rand.Rand, s *secret) cell { return src("!tool --%s=%s", dashes(s.name), py(s.value)) }},
		{"curl-bearer", func(_ *rand.Rand, s *secret) cell {
			return src("!curl -s -H \"Authorization: Bearer %s\" https://api.%s/v1/me", py(s.value), s.host)
		}},
		{"curl-header", func(_ *rand.Rand, s *secret) cell {
			return src("!curl https://api.%s/items -H 'X-Api-Key: %s'", s.host, py(s.value))
		}},
		{"curl-user", func(_ *rand.Rand, s *secret) cell {
			return src("!curl -u %s:%s https://%s/", s.user, py(s.value), s.host)
		}},
		{"sql-magic", func(_ *rand.Rand, s *secret) cell {
			if strings.Contains(s.value, "://") {
				return src("%%load_ext sql\n%%sql %s", py(s.value))
			}
			v := url.QueryEscape(s.value)
			return src("%%load_ext sql\n%%sql postgresql://%s:%s@%s/prod", s.user, v, s.host).wants(url.QueryEscape(s.core))
		}},
		{"docker-run", func(_ *rand.Rand, s *secret) cell {
			return src("!docker run --rm -e %s='%s' img:latest", s.env, py(s.value))
		}},
		{"dotenv-file", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile .env\nREGION=eu-west-1\n%s=%s\nDEBUG=1", s.env, py(s.value))
		}},
		{"yaml-file", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile config.yaml\nserver:\n  host: %s\n  %s: \"%s\"\n", s.host, s.short, py(s.value))
		}},
		{"toml-file", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile settings.toml\n[auth]\n%s = \"%s\"\n", s.short, py(s.value))
		}},
		{"ini-file", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile app.ini\n[default]\nregion = eu\n%s = %s\n", s.name, py(s.value))
		}},

		// Markdown.
		{"markdown-code", func(_ *rand.Rand, s *secret) cell {
			return cell{markdown: true, source: "## Access\nUse the " + s.label + ": `" + py(s.value) + "` until Friday."}
		}},
		{"markdown-text", func(_ *rand.Rand, s *secret) cell {
			return cell{markdown: true, source: "- user: " + s.user + "\n- " + s.label + ": " + py(s.value) + "\n"}
		}},
		{"markdown-table", func(_ *rand.Rand, s *secret) cell {
			return cell{markdown: true, source: "| name | value |\n|---|---|\n| host | " + s.host + " |\n| " + s.label + " | " + py(s.value) + " |\n"}
		}},

		// Outputs.
		{"print-label", func(_ *rand.Rand, s *secret) cell {
			return printed("show()", "connecting as "+s.user+"\n"+s.label+": "+py(s.value)+"\n")
		}},
		{"print-bare", func(_ *rand.Rand, s *secret) cell { return printed("print(v)", s.value+"\n") }},
		{"print-env", func(_ *rand.Rand, s *secret) cell {
			return printed("!env", "HOME=/home/jovyan\nLANG=C.UTF-8\n"+s.env+"="+py(s.value)+"\nSHLVL=1\n")
		}},
		{"print-dict", func(_ *rand.Rand, s *secret) cell {
			return printed("print(cfg)", "{'host': '"+s.host+"', 'port': 5432, '"+s.short+"': '"+py(s.value)+"', 'ssl': True}\n")
		}},
		{"print-environ", func(_ *rand.Rand, s *secret) cell {
			return shown("os.environ", map[string]any{"text/plain": "environ{'SHELL': '/bin/bash',\n        '" + s.env + "': '" + py(s.value) + "',\n        'PWD': '/work'}"})
		}},
		{"print-object", func(_ *rand.Rand, s *secret) cell {
			return shown("settings", map[string]any{"text/plain": "Settings(host='" + s.host + "', " + s.short + "='" + py(s.value) + "', port=5432)"})
		}},
		{"print-debug", func(_ *rand.Rand, s *secret) cell {
			return printed("print(f'{"+s.name+"=}')", s.name+"='"+py(s.value)+"'\n")
		}},
		{"print-tuples", func(_ *rand.Rand, s *secret) cell {
			return shown("rows", map[string]any{"text/plain": "[('region', 'eu'), ('" + s.env + "', '" + py(s.value) + "')]"})
		}},
		{"result-bare", func(_ *rand.Rand, s *secret) cell {
			return shown(s.name, map[string]any{"text/plain": "'" + py(s.value) + "'"})
		}},
		{"log-line", func(_ *rand.Rand, s *secret) cell {
			return printed("run()", "2026-03-02 11:04:17,225 - app - DEBUG - loaded config host="+s.host+" "+s.name+"="+py(s.value)+" retries=3\n")
		}},
		{"log-url", func(_ *rand.Rand, s *secret) cell {
			v := url.QueryEscape(s.value)
			return printed("get()", "DEBUG:urllib3.connectionpool:https://api."+s.host+":443 \"GET /v2/items?limit=5&"+s.short+"="+v+" HTTP/1.1\" 200 None\n").wants(url.QueryEscape(s.core))
		}},
		{"log-header", func(_ *rand.Rand, s *secret) cell {
			return printed("get()", "send: b'GET /v1/me HTTP/1.1\\r\\nHost: api."+s.host+"\\r\\nAuthorization: Bearer "+py(s.value)+"\\r\\nAccept: */*\\r\\n\\r\\n'\n")
		}},
		{"frame-text", func(_ *rand.Rand, s *secret) cell {
			h, rows := settings(s)
			return shown("df", map[string]any{"text/plain": frame(h, rows)})
		}},
		{"frame-html", func(_ *rand.Rand, s *secret) cell {
			h, rows := settings(s)
			return shown("df", map[string]any{"text/html": frameHTML(h, rows), "text/plain": "<table>"}).wants(html.EscapeString(s.core))
		}},
		{"frame-column-text", func(_ *rand.Rand, s *secret) cell {
			h, rows := accounts(s)
			return shown("df", map[string]any{"text/plain": frame(h, rows)})
		}},
		{"frame-column-html", func(_ *rand.Rand, s *secret) cell {
			h, rows := accounts(s)
			return shown("df", map[string]any{"text/html": frameHTML(h, rows)}).wants(html.EscapeString(s.core))
		}},
		{"html-input", func(_ *rand.Rand, s *secret) cell {
			return shown("form()", map[string]any{"text/html": "<label>" + s.label + "</label> <input type=\"password\" name=\"" + s.short + "\" value=\"" + html.EscapeString(py(s.value)) + "\">"}).wants(html.EscapeString(py(s.core)))
		}},
		{"html-definition", func(_ *rand.Rand, s *secret) cell {
			return shown("info()", map[string]any{"text/html": "<p><b>" + html.EscapeString(s.label) + ":</b> <code>" + html.EscapeString(py(s.value)) + "</code></p>"}).wants(html.EscapeString(py(s.core)))
		}},
		{"html-pygments", func(_ *rand.Rand, s *secret) cell {
			return shown("Code('x.py')", map[string]any{"text/html": "<div class=\"highlight\"><pre><span></span>" + pygments("n", s.name, "w", " ", "o", "=", "w", " ", "s2", `"`+py(s.value)+`"`) + "\n</pre></div>"}).wants(html.EscapeString(py(s.core)))
		}},
		{"html-pygments-split", func(_ *rand.Rand, s *secret) cell {
			return shown("Code('x.py')", map[string]any{"text/html": "<pre>" + pygments("n", "os", "o", ".", "n", "environ", "p", "[", "s2", `"`+s.env+`"`, "p", "]", "o", "=", "s2", `"`, "s2", py(s.value), "s2", `"`) + "</pre>"}).wants(html.EscapeString(py(s.core)))
		}},
		{"traceback-ansi", func(_ *rand.Rand, s *secret) cell {
			return cell{source: "connect()", outputs: []any{failure("AuthenticationError", "401", strings.Split(ansi(s), "\n")...)}}
		}},
		{"traceback-ansi-old", func(_ *rand.Rand, s *secret) cell {
			return cell{source: "connect()", outputs: []any{failure("ValueError", "bad", strings.SplitAfter(ansiOld(s), "\n")...)}}
		}},
		{"traceback-message", func(_ *rand.Rand, s *secret) cell {
			return cell{source: "connect()", outputs: []any{failure("AuthError", "invalid "+s.label+": "+py(s.value)+" (check your settings)", esc+"0;31mAuthError"+esc+"0m: invalid "+s.label+": "+py(s.value)+" (check your settings)")}}
		}},
		{"json-output", func(_ *rand.Rand, s *secret) cell {
			return shown("JSON(cfg)", map[string]any{"application/json": map[string]any{"user": s.user, "auth": map[string]any{s.short: s.value}, "zone": 3}}).raw(s)
		}},

		// Encodings.
		{"base64-print", func(_ *rand.Rand, s *secret) cell {
			all, want := encoded64(s.value, s.core)
			return printed("print(base64.b64encode(x))", "b'"+all+"'\n").wants(want)
		}},
		{"base64-source", func(_ *rand.Rand, s *secret) cell {
			all, want := encoded64(s.value, s.core)
			return src("%s = base64.b64decode(\"%s\").decode()", s.name, all).wants(want)
		}},
		{"base64-json", func(_ *rand.Rand, s *secret) cell {
			all, want := encoded64(fmt.Sprintf(`{"user": "%s", "%s": "%s"}`, s.user, s.short, py(s.value)), py(s.core))
			return printed("dump()", all+"\n").wants(want)
		}},
		{"base64-basic", func(_ *rand.Rand, s *secret) cell {
			all, want := encoded64(s.user+":"+s.value, s.core)
			return src("headers = {'Authorization': 'Basic %s'}", all).wants(want)
		}},
		{"hex-print", func(_ *rand.Rand, s *secret) cell {
			return printed("print(x.hex())", hex.EncodeToString([]byte(s.env+"="+s.value))+"\n").wants(hex.EncodeToString([]byte(s.core)))
		}},
		{"url-encoded", func(_ *rand.Rand, s *secret) cell {
			return printed("post()", "body: user="+s.user+"&"+s.short+"="+url.QueryEscape(s.value)+"&grant_type=client_credentials\n").wants(url.QueryEscape(s.core))
		}},
		{"url-encoded-nested", func(_ *rand.Rand, s *secret) cell {
			return printed("go()", "redirect=https%3A%2F%2Fapp."+s.host+"%2Fcb%3F"+s.short+"%3D"+url.QueryEscape(url.QueryEscape(s.value))+"\n").wants(url.QueryEscape(url.QueryEscape(s.core)))
		}},

		// What else is seen: other languages' syntax, command lines, consoles.
		{"sql-identified", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%sql\nCREATE USER %s IDENTIFIED BY '%s';", s.user, py(s.value))
		}},
		{"sql-password", func(_ *rand.Rand, s *secret) cell {
			return src("cur.execute(\"ALTER USER %s WITH PASSWORD '%s'\")", s.user, py(s.value))
		}},
		{"spark-option", func(_ *rand.Rand, s *secret) cell {
			return src("df = (spark.read.format(\"jdbc\")\n  .option(\"user\", \"%s\")\n  .option(\"%s\", \"%s\")\n  .load())", s.user, s.short, py(s.value))
		}},
		{"jdbc-url", func(_ *rand.Rand, s *secret) cell {
			return src("url = \"jdbc:postgresql://%s:5432/prod?user=%s&%s=%s&ssl=true\"", s.host, s.user, s.short, url.QueryEscape(s.value)).wants(url.QueryEscape(s.core))
		}},
		{"odbc-string", func(_ *rand.Rand, s *secret) cell {
			return src("cs = \"Driver={ODBC Driver 18 for SQL Server};Server=%s;UID=%s;PWD=%s;Encrypt=yes;\"", s.host, s.user, py(s.value))
		}},
		{"libpq-string", func(_ *rand.Rand, s *secret) cell {
			return src("conn = psycopg2.connect(\"host=%s dbname=prod user=%s password=%s port=5432\")", s.host, s.user, py(s.value))
		}},
		{"connect-positional", func(_ *rand.Rand, s *secret) cell {
			return src("db = pymysql.connect(\"%s\", \"%s\", \"%s\", \"prod\")", s.host, s.user, py(s.value))
		}},
		{"client-positional", func(_ *rand.Rand, s *secret) cell { return src("api = %s.Api('%s')", s.lib, py(s.value)) }},
		{"powershell", func(_ *rand.Rand, s *secret) cell { return src("%%%%powershell\n$env:%s = \"%s\"", s.env, py(s.value)) }},
		{"mysql-flag", func(_ *rand.Rand, s *secret) cell {
			return src("!mysql -h %s -u %s -p'%s' -e 'show tables'", s.host, s.user, py(s.value))
		}},
		{"env-prefix-pipe", func(_ *rand.Rand, s *secret) cell {
			return src("!echo '%s' | docker login -u %s --password-stdin", py(s.value), s.user)
		}},
		{"aws-configure", func(_ *rand.Rand, s *secret) cell {
			return src("!aws configure set %s %s --profile prod", s.name, py(s.value))
		}},
		{"kubectl-literal", func(_ *rand.Rand, s *secret) cell {
			return src("!kubectl create secret generic app --from-literal=%s='%s'", s.name, py(s.value))
		}},
		{"git-remote", func(_ *rand.Rand, s *secret) cell {
			return src("!git clone https://%s:%s@github.com/acme/data.git", s.user, url.QueryEscape(s.value)).wants(url.QueryEscape(s.core))
		}},
		{"netrc", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile ~/.netrc\nmachine api.%s\nlogin %s\npassword %s\n", s.host, s.user, py(s.value))
		}},
		{"wandb-cli", func(_ *rand.Rand, s *secret) cell { return src("!%s login %s", s.lib, py(s.value)) }},
		{"dockerfile", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile Dockerfile\nFROM python:3.12\nENV %s=%s\n", s.env, py(s.value))
		}},
		{"terraform", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile main.tf\nprovider \"x\" {\n  %s = \"%s\"\n}", s.short, py(s.value))
		}},
		{"xml", func(_ *rand.Rand, s *secret) cell {
			return src("cfg = \"\"\"<config><user>%s</user><%s>%s</%s></config>\"\"\"", s.user, s.short, html.EscapeString(s.value), s.short).wants(html.EscapeString(s.core))
		}},
		{"csv", func(_ *rand.Rand, s *secret) cell {
			return src("%%%%writefile users.csv\nid,user,%s,active\n1,%s,%s,true\n", s.short, s.user, py(s.value))
		}},
		{"dict-zip-list", func(_ *rand.Rand, s *secret) cell {
			return src("params = [('user', '%s'), ('%s', '%s')]", s.user, s.short, py(s.value))
		}},
		{"tuple-unpack", func(_ *rand.Rand, s *secret) cell {
			return src("user, %s = \"%s\", \"%s\"", s.short, s.user, py(s.value))
		}},
		{"walrus-strip", func(_ *rand.Rand, s *secret) cell { return src("%s = \"%s\".strip()", s.name, py(s.value)) }},
		{"bytes-literal", func(_ *rand.Rand, s *secret) cell { return src("%s = b'%s'", s.name, py(s.value)) }},
		{"triple-quoted", func(_ *rand.Rand, s *secret) cell { return src("%s = \"\"\"%s\"\"\"", s.name, s.value) }},
		{"secret-str", func(_ *rand.Rand, s *secret) cell { return src("%s = SecretStr(\"%s\")", s.short, py(s.value)) }},
		{"compare", func(_ *rand.Rand, s *secret) cell { return src("assert %s == '%s'", s.name, py(s.value)) }},
		{"lambda-default", func(_ *rand.Rand, s *secret) cell {
			return src("call = lambda q, %s='%s': ask(q)", s.short, py(s.value))
		}},
		{"rich-table", func(_ *rand.Rand, s *secret) cell {
			return printed("console.print(table)", "┃ name   ┃ value ┃\n│ region │ eu │\n│ "+s.env+" │ "+py(s.value)+" │\n")
		}},
		{"tabulate", func(_ *rand.Rand, s *secret) cell {
			return printed("print(tabulate(rows))", "+--------+-------+\n| region | eu |\n| "+s.env+" | "+py(s.value)+" |\n+--------+-------+\n")
		}},
		{"series-text", func(_ *rand.Rand, s *secret) cell {
			return shown("df.iloc[0]", map[string]any{"text/plain": "user       " + s.user + "\n" + s.short + "    " + py(s.value) + "\nName: 0, dtype: object"})
		}},
		{"widget-repr", func(_ *rand.Rand, s *secret) cell {
			return shown("w", map[string]any{"text/plain": "Password(value='" + py(s.value) + "', description='" + s.label + "')"})
		}},
		{"pprint-nested", func(_ *rand.Rand, s *secret) cell {
			return printed("pprint(cfg)", "{'db': {'host': '"+s.host+"',\n        '"+s.short+"': '"+py(s.value)+"',\n        'port': 5432}}\n")
		}},
		{"yaml-print", func(_ *rand.Rand, s *secret) cell {
			return printed("!cat config.yaml", "db:\n  host: "+s.host+"\n  "+s.short+": "+py(s.value)+"\n  port: 5432\n")
		}},
		{"shell-trace", func(_ *rand.Rand, s *secret) cell {
			return printed("!bash -x run.sh", "+ export "+s.env+"='"+py(s.value)+"'\n+ ./run\n")
		}},
		{"http-dump", func(_ *rand.Rand, s *secret) cell {
			return printed("!curl -v", "> GET /v1 HTTP/2\n> Host: api."+s.host+"\n> x-api-key: "+py(s.value)+"\n> accept: */*\n")
		}},
		{"cookie", func(_ *rand.Rand, s *secret) cell {
			return printed("print(r.headers)", "{'Set-Cookie': 'session_token="+py(s.value)+"; Path=/; HttpOnly', 'Server': 'nginx'}\n")
		}},
		{"exception-dict", func(_ *rand.Rand, s *secret) cell {
			return cell{source: "go()", outputs: []any{failure("KeyError", "'host' not in {'"+s.short+"': '"+py(s.value)+"'}", esc+"0;31mKeyError"+esc+"0m: \"'host' not in {'"+s.short+"': '"+py(s.value)+"'}\"")}}
		}},
		{"sentence", func(_ *rand.Rand, s *secret) cell {
			return cell{markdown: true, source: "Log in as " + s.user + ", the " + s.label + " is " + py(s.value) + " for now."}
		}},
		{"markdown-fence", func(_ *rand.Rand, s *secret) cell {
			return cell{markdown: true, source: "Run this first:\n\n```bash\nexport " + s.env + "=" + py(s.value) + "\n```\n"}
		}},
		{"colab-form", func(_ *rand.Rand, s *secret) cell {
			return src("%s = \"%s\" #@param {type:\"string\"}", s.name, py(s.value))
		}},
		{"html-list", func(_ *rand.Rand, s *secret) cell {
			return shown("repr_html", map[string]any{"text/html": "<ul><li>host: " + s.host + "</li><li>" + html.EscapeString(s.label) + ": " + html.EscapeString(py(s.value)) + "</li></ul>"}).wants(html.EscapeString(py(s.core)))
		}},
		{"html-link", func(_ *rand.Rand, s *secret) cell {
			return shown("link", map[string]any{"text/html": "<a href=\"https://api." + s.host + "/d?" + s.short + "=" + url.QueryEscape(s.value) + "&amp;x=1\">data</a>"}).wants(url.QueryEscape(s.core))
		}},
		{"characters", func(_ *rand.Rand, s *secret) cell {
			parts := []string{}
			for i := 0; i < len(s.value); i += 8 {
				parts = append(parts, s.value[i:min(len(s.value), i+8)])
			}
			return src("%s = ''.join(['%s'])", s.name, py(strings.Join(parts, "', '"))).wantsList(s)
		}},
		{"variables-joined", func(r *rand.Rand, s *secret) cell {
			a, b := cut(r, py(s.value))
			return src("part_a = '%s'\npart_b = '%s'\n%s = part_a + part_b", a, b, s.name).wantsPieces(s, a, b)
		}},

		// Metadata.
		{"papermill", func(_ *rand.Rand, s *secret) cell {
			c := src("x = 1")
			c.notebook = map[string]any{"papermill": map[string]any{"default_parameters": map[string]any{}, "parameters": map[string]any{"alpha": 0.6, s.name: s.value}, "version": "2.6.0"}}
			return c.raw(s)
		}},
		{"cell-metadata", func(_ *rand.Rand, s *secret) cell {
			c := src("x = 1")
			c.metadata = map[string]any{"editable": true, "connection": map[string]any{"host": s.host, s.short: s.value}}
			return c.raw(s)
		}},
		{"widget-password", func(_ *rand.Rand, s *secret) cell {
			c := src("w.Password()")
			c.notebook = widget("PasswordModel", "", s.value)
			return c.raw(s)
		}},
		{"widget-text", func(_ *rand.Rand, s *secret) cell {
			c := src("w.Text()")
			c.notebook = widget("TextModel", s.label, s.value)
			return c.raw(s)
		}},
	}
}

// wants sets what must be covered.
func (c cell) wants(text string) cell {
	c.want = text
	return c
}

// wantsJoined sets it for a value that is written in two pieces.
func (c cell) wantsJoined(s *secret, a, b, between string) cell {
	c.apart = true
	all, at := a+b, strings.Index(a+b, py(s.core))
	end := at + len(py(s.core))
	switch {
	case end <= len(a) || at >= len(a):
		return c.wants(all[at:end])
	}
	return c.wants(a[at:] + between + b[:end-len(a)])
}

// wantsPieces sets it for a value whose two pieces are apart.
func (c cell) wantsPieces(s *secret, a, b string) cell {
	c.apart = true
	at := strings.Index(a+b, py(s.core))
	end := at + len(py(s.core))
	c.want = a[min(at, len(a)):min(end, len(a))]
	c.also = b[max(at-len(a), 0):max(end-len(a), 0)]
	if c.want == "" {
		c.want, c.also = c.also, ""
	}
	return c
}

// wantsList sets it for a value that is written in pieces of eight.
func (c cell) wantsList(s *secret) cell {
	c.apart = true
	var b strings.Builder
	for i := s.start; i < s.end; i++ {
		if i > s.start && i%8 == 0 {
			b.WriteString("', '")
		}
		b.WriteByte(s.value[i])
	}
	return c.wants(py(b.String()))
}

// raw says that the secret stands in raw JSON.
func (c cell) raw(s *secret) cell { return c.wants(strings.ReplaceAll(s.core, "\n", `\n`)) }

func dashes(name string) string { return strings.ReplaceAll(name, "_", "-") }

func camel(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

func loginName(s *secret) string {
	switch s.lib {
	case "wandb":
		return "key"
	case "huggingface_hub":
		return "token"
	}
	return s.short
}
