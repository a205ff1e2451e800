package corpus

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/url"
	"strings"
)

// Kind is one sort of secret.
type Kind struct {
	Name  string
	env   []string // names of environment variables that hold it
	label []string // what people call it
	lib   string   // the Python module that takes it
	value func(r *rand.Rand) (value, core string)
}

const (
	lower    = "abcdefghijklmnopqrstuvwxyz"
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits   = "0123456789"
	alnum    = upper + lower + digits
	lowerNum = lower + digits
	hexNum   = digits + "abcdef"
	urlSafe  = alnum + "-_"
	base64s  = alnum + "+/"
)

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func chars(r *rand.Rand, n int, set string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = set[r.IntN(len(set))]
	}
	return string(b)
}

func bytesOf(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// form makes a generator of prefix and n characters of a set.
func form(prefix string, n int, set string) func(*rand.Rand) (string, string) {
	return func(r *rand.Rand) (string, string) {
		v := prefix + chars(r, n, set)
		return v, v
	}
}

// made makes a generator of a value that is secret as a whole.
func made(f func(r *rand.Rand) string) func(*rand.Rand) (string, string) {
	return func(r *rand.Rand) (string, string) {
		v := f(r)
		return v, v
	}
}

func uuid(r *rand.Rand) string {
	h := hex.EncodeToString(bytesOf(r, 16))
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// checked is a GitHub or npm token: 30 characters and their CRC-32 in base 62.
func checked(prefix string) func(*rand.Rand) (string, string) {
	return made(func(r *rand.Rand) string {
		body := chars(r, 30, alnum)
		sum, tail := crc32.ChecksumIEEE([]byte(body)), make([]byte, 6)
		for i := 5; i >= 0; i-- {
			tail[i] = (digits + upper + lower)[sum%62]
			sum /= 62
		}
		return prefix + body + string(tail)
	})
}

func jwt(r *rand.Rand) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		enc(fmt.Appendf(nil, `{"sub":"%d","name":"%s","iat":%d}`, r.Int32(), chars(r, 7, lower), 1700000000+r.IntN(9e7))) + "." +
		enc(bytesOf(r, 32))
}

func pem(r *rand.Rand) string {
	body := base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x82, 0x04, 0xa4, 2, 1, 0, 2, 0x82, 1, 1, 0}, bytesOf(r, 1180)...))
	var b strings.Builder
	b.WriteString("-----BEGIN RSA PRIVATE KEY-----\n")
	for len(body) > 64 {
		b.WriteString(body[:64] + "\n")
		body = body[64:]
	}
	b.WriteString(body + "\n-----END RSA PRIVATE KEY-----")
	return b.String()
}

var nouns = []string{
	"Summer", "winter", "Dragonfly", "maple", "Falcon", "bicycle", "Orchid", "harbour", "Saturn", "pepper",
	"Thunder", "violet", "Marble", "coffee", "Lisbon", "walnut", "Copper", "meadow", "Zebra", "pirate",
}

func humanPassword(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("%s%d%s", pick(r, nouns...), 1000+r.IntN(9000), pick(r, "!", "$", "#", "?", "*"))
	case 1:
		return fmt.Sprintf("%s%s%d", pick(r, nouns...), pick(r, nouns...), r.IntN(100))
	case 2:
		return fmt.Sprintf("%s_%s!%d", pick(r, nouns...), pick(r, nouns...), 10+r.IntN(90))
	}
	return strings.NewReplacer("a", "4", "e", "3", "o", "0").Replace(pick(r, nouns...)+pick(r, nouns...)) + chars(r, 2, digits)
}

func strongPassword(r *rand.Rand) string {
	n := 10 + r.IntN(12)
	return pick(r, strings.Split(upper, "")...) + chars(r, n, alnum+alnum+"!#%*-_+=.^~") + chars(r, 1, digits) + chars(r, 1, alnum)
}

// urlPassword is what stands in a URL: anything is escaped there.
func urlPassword(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return url.QueryEscape(humanPassword(r))
	}
	return chars(r, 10+r.IntN(14), alnum+"-_.")
}

func dbURL(scheme, host, rest string) func(*rand.Rand) (string, string) {
	return func(r *rand.Rand) (string, string) {
		user, pass := pick(r, "analyst", "svc_reporting", "etl", "dbadmin", "jane", "app_user"), urlPassword(r)
		if strings.HasPrefix(scheme, "redis") {
			user = pick(r, "", "default")
		}
		return scheme + "://" + user + ":" + pass + "@" + strings.ReplaceAll(host, "#", chars(r, 8, lowerNum)) + rest, pass
	}
}

func dated(r *rand.Rand) string {
	return fmt.Sprintf("20%02d-%02d-%02d", 20+r.IntN(7), 1+r.IntN(12), 1+r.IntN(28))
}

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		{"openai-legacy", []string{"OPENAI_API_KEY"}, []string{"OpenAI API key", "openai key"}, "openai", made(func(r *rand.Rand) string {
			return "sk-" + chars(r, 20, alnum) + "T3BlbkFJ" + chars(r, 20, alnum)
		})},
		{"openai-project", []string{"OPENAI_API_KEY", "OPENAI_KEY"}, []string{"OpenAI API key"}, "openai", made(func(r *rand.Rand) string {
			return "sk-proj-" + chars(r, 74, urlSafe) + "T3BlbkFJ" + chars(r, 73, urlSafe) + "A"
		})},
		{"openai-service", []string{"OPENAI_API_KEY"}, []string{"OpenAI service key"}, "openai", made(func(r *rand.Rand) string {
			return "sk-svcacct-" + chars(r, 74, urlSafe) + "T3BlbkFJ" + chars(r, 73, urlSafe) + "A"
		})},
		{"anthropic", []string{"ANTHROPIC_API_KEY", "CLAUDE_API_KEY"}, []string{"Anthropic key"}, "anthropic", made(func(r *rand.Rand) string {
			return "sk-ant-api03-" + chars(r, 93, urlSafe) + "AA"
		})},
		{"huggingface", []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN"}, []string{"HF token"}, "huggingface_hub", form("hf_", 34, upper+lower)},
		{"groq", []string{"GROQ_API_KEY"}, []string{"Groq API key"}, "groq", form("gsk_", 52, alnum)},
		{"nvidia", []string{"NVIDIA_API_KEY", "NGC_API_KEY"}, []string{"NVIDIA API key"}, "nvidia", form("nvapi-", 64, urlSafe)},
		{"cohere", []string{"COHERE_API_KEY", "CO_API_KEY"}, []string{"Cohere API key"}, "cohere", form("", 40, alnum)},
		{"mistral", []string{"MISTRAL_API_KEY"}, []string{"Mistral API key"}, "mistralai", form("", 32, alnum)},
		{"tavily", []string{"TAVILY_API_KEY"}, []string{"Tavily key"}, "tavily", form("tvly-dev-", 32, alnum)},
		{"openrouter", []string{"OPENROUTER_API_KEY"}, []string{"OpenRouter key"}, "openai", form("sk-or-v1-", 64, hexNum)},
		{"deepseek", []string{"DEEPSEEK_API_KEY"}, []string{"DeepSeek API key"}, "openai", form("sk-", 32, hexNum)},
		{"replicate", []string{"REPLICATE_API_TOKEN"}, []string{"Replicate token"}, "replicate", form("r8_", 37, alnum)},
		{"pinecone", []string{"PINECONE_API_KEY"}, []string{"Pinecone API key"}, "pinecone", made(func(r *rand.Rand) string {
			if r.IntN(2) == 0 {
				return uuid(r)
			}
			return "pcsk_" + chars(r, 5, alnum) + "_" + chars(r, 63, alnum)
		})},
		{"langsmith", []string{"LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"}, []string{"LangSmith key"}, "langsmith", made(func(r *rand.Rand) string {
			return "lsv2_pt_" + chars(r, 32, hexNum) + "_" + chars(r, 10, hexNum)
		})},
		{"together", []string{"TOGETHER_API_KEY"}, []string{"Together API key"}, "together", form("", 64, hexNum)},
		{"perplexity", []string{"PPLX_API_KEY", "PERPLEXITY_API_KEY"}, []string{"Perplexity key"}, "openai", form("pplx-", 48, alnum)},
		{"xai", []string{"XAI_API_KEY"}, []string{"xAI key"}, "openai", form("xai-", 80, alnum)},
		{"elevenlabs", []string{"ELEVENLABS_API_KEY", "ELEVEN_API_KEY"}, []string{"ElevenLabs API key"}, "elevenlabs", form("sk_", 48, hexNum)},
		{"wandb-old", []string{"WANDB_API_KEY"}, []string{"wandb API key"}, "wandb", form("", 40, hexNum)},
		{"wandb-new", []string{"WANDB_API_KEY"}, []string{"W&B API key"}, "wandb", form("wandb_v1_", 77, alnum)},
		{"azure-openai", []string{"AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY"}, []string{"Azure OpenAI key"}, "openai", made(func(r *rand.Rand) string {
			if r.IntN(2) == 0 {
				return chars(r, 32, hexNum)
			}
			return chars(r, 52, alnum) + "JQQJ99" + chars(r, 10, upper+digits) + "AAAB" + "AC" + "OG" + chars(r, 4, alnum)
		})},
		{"azure-storage", []string{"AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"}, []string{"storage account key"}, "adlfs", made(func(r *rand.Rand) string {
			return base64.StdEncoding.EncodeToString(bytesOf(r, 64))
		})},
		{"azure-sas", []string{"AZURE_SAS_URL", "SAS_URL"}, []string{"SAS URL"}, "adlfs", func(r *rand.Rand) (string, string) {
			sig := url.QueryEscape(base64.StdEncoding.EncodeToString(bytesOf(r, 32)))
			return "https://" + chars(r, 9, lower) + ".blob.core.windows.net/data?sv=2023-11-03&st=" + dated(r) + "T08%3A00%3A00Z&se=2027-01-01T08%3A00%3A00Z&sr=c&sp=rl&sig=" + sig, sig
		}},
		{"azure-ad", []string{"AZURE_CLIENT_SECRET"}, []string{"client secret"}, "azure.identity", made(func(r *rand.Rand) string {
			return chars(r, 3, alnum) + chars(r, 1, digits) + "Q~" + chars(r, 34, alnum+"_~.-")
		})},
		{"azure-conn", []string{"AZURE_STORAGE_CONNECTION_STRING"}, []string{"connection string"}, "azure.storage.blob", func(r *rand.Rand) (string, string) {
			key := base64.StdEncoding.EncodeToString(bytesOf(r, 64))
			return "DefaultEndpointsProtocol=https;AccountName=" + chars(r, 8, lower) + ";AccountKey=" + key + ";EndpointSuffix=core.windows.net", key
		}},
		{"aws-secret", []string{"AWS_SECRET_ACCESS_KEY"}, []string{"AWS secret access key", "aws secret"}, "boto3", form("", 40, base64s)},
		{"aws-access", []string{"AWS_ACCESS_KEY_ID"}, []string{"AWS access key ID"}, "boto3", form("AKIA", 16, upper+"234567")},
		{"aws-session", []string{"AWS_SESSION_TOKEN"}, []string{"session token"}, "boto3", made(func(r *rand.Rand) string {
			return "IQoJb3JpZ2luX2Vj" + base64.StdEncoding.EncodeToString(bytesOf(r, 480+3*r.IntN(80)))
		})},
		{"google-api", []string{"GOOGLE_API_KEY", "GEMINI_API_KEY"}, []string{"Google API key", "Gemini key"}, "google.generativeai", form("AIzaSy", 33, urlSafe)},
		{"google-oauth", []string{"GOOGLE_CLIENT_SECRET"}, []string{"OAuth client secret"}, "google.oauth2", form("GOCSPX-", 28, urlSafe)},
		{"github", []string{"GITHUB_TOKEN", "GH_TOKEN"}, []string{"GitHub token", "GitHub PAT"}, "github", checked("ghp_")},
		{"github-fine", []string{"GITHUB_TOKEN"}, []string{"GitHub token"}, "github", made(func(r *rand.Rand) string {
			return "github_pat_11" + chars(r, 20, upper+digits) + "_" + chars(r, 59, alnum)
		})},
		{"gitlab", []string{"GITLAB_TOKEN"}, []string{"GitLab token"}, "gitlab", form("glpat-", 20, urlSafe)},
		{"npm", []string{"NPM_TOKEN"}, []string{"npm token"}, "npm", checked("npm_")},
		{"pypi", []string{"PYPI_TOKEN", "TWINE_PASSWORD"}, []string{"PyPI token"}, "twine", made(func(r *rand.Rand) string {
			return "pypi-AgEIcHlwaS5vcmc" + chars(r, 150+r.IntN(30), urlSafe)
		})},
		{"slack-bot", []string{"SLACK_BOT_TOKEN", "SLACK_TOKEN"}, []string{"Slack token"}, "slack_sdk", made(func(r *rand.Rand) string {
			return "xoxb-" + chars(r, 1, "123456789") + chars(r, 11, digits) + "-" + chars(r, 1, "123456789") + chars(r, 12, digits) + "-" + chars(r, 24, alnum)
		})},
		{"slack-webhook", []string{"SLACK_WEBHOOK_URL"}, []string{"Slack webhook"}, "slack_sdk", func(r *rand.Rand) (string, string) {
			core := "T" + chars(r, 10, upper+digits) + "/B" + chars(r, 10, upper+digits) + "/" + chars(r, 24, alnum)
			return "https://hooks.slack.com/services/" + core, core
		}},
		{"stripe", []string{"STRIPE_SECRET_KEY", "STRIPE_API_KEY"}, []string{"Stripe secret key"}, "stripe", form("sk_live_", 99, alnum)},
		{"stripe-restricted", []string{"STRIPE_API_KEY"}, []string{"Stripe key"}, "stripe", form("rk_live_", 24, alnum)},
		{"sendgrid", []string{"SENDGRID_API_KEY"}, []string{"SendGrid API key"}, "sendgrid", made(func(r *rand.Rand) string {
			return "SG." + chars(r, 22, urlSafe) + "." + chars(r, 43, urlSafe)
		})},
		{"twilio", []string{"TWILIO_AUTH_TOKEN"}, []string{"Twilio auth token"}, "twilio", form("", 32, hexNum)},
		{"kaggle", []string{"KAGGLE_KEY"}, []string{"Kaggle key"}, "kaggle", form("", 32, hexNum)},
		{"databricks", []string{"DATABRICKS_TOKEN"}, []string{"Databricks token"}, "databricks", made(func(r *rand.Rand) string {
			return "dapi" + chars(r, 32, hexNum) + pick(r, "", "-2", "-3")
		})},
		{"snowflake", []string{"SNOWFLAKE_PASSWORD"}, []string{"Snowflake password"}, "snowflake.connector", made(strongPassword)},
		{"digitalocean", []string{"DIGITALOCEAN_TOKEN"}, []string{"DO token"}, "digitalocean", form("dop_v1_", 64, hexNum)},
		{"docker", []string{"DOCKER_TOKEN"}, []string{"Docker Hub token"}, "docker", form("dckr_pat_", 27, urlSafe)},
		{"airtable", []string{"AIRTABLE_TOKEN", "AIRTABLE_API_KEY"}, []string{"Airtable token"}, "pyairtable", made(func(r *rand.Rand) string {
			return "pat" + chars(r, 14, alnum) + "." + chars(r, 64, hexNum)
		})},
		{"notion", []string{"NOTION_TOKEN"}, []string{"Notion token"}, "notion_client", made(func(r *rand.Rand) string {
			return "ntn_" + chars(r, 11, digits) + chars(r, 35, alnum)
		})},
		{"telegram", []string{"TELEGRAM_BOT_TOKEN"}, []string{"Telegram bot token"}, "telegram", made(func(r *rand.Rand) string {
			return chars(r, 1, "123456789") + chars(r, 9, digits) + ":AA" + chars(r, 33, urlSafe)
		})},
		{"discord-bot", []string{"DISCORD_TOKEN"}, []string{"Discord token"}, "discord", made(func(r *rand.Rand) string {
			return base64.RawURLEncoding.EncodeToString([]byte(chars(r, 1, "123456789")+chars(r, 17, digits))) + "." + chars(r, 6, urlSafe) + "." + chars(r, 38, urlSafe)
		})},
		{"discord-webhook", []string{"DISCORD_WEBHOOK_URL"}, []string{"Discord webhook"}, "discord", func(r *rand.Rand) (string, string) {
			core := chars(r, 68, urlSafe)
			return "https://discord.com/api/webhooks/" + chars(r, 1, "123456789") + chars(r, 18, digits) + "/" + core, core
		}},
		{"datadog", []string{"DD_API_KEY", "DATADOG_API_KEY"}, []string{"Datadog API key"}, "datadog", form("", 32, hexNum)},
		{"newrelic", []string{"NEW_RELIC_API_KEY"}, []string{"New Relic key"}, "newrelic", form("NRAK-", 27, upper+digits)},
		{"mailgun", []string{"MAILGUN_API_KEY"}, []string{"Mailgun API key"}, "mailgun", form("key-", 32, hexNum)},
		{"shopify", []string{"SHOPIFY_ACCESS_TOKEN"}, []string{"Shopify access token"}, "shopify", form("shpat_", 32, hexNum)},
		{"mapbox", []string{"MAPBOX_TOKEN", "MAPBOX_ACCESS_TOKEN"}, []string{"Mapbox token"}, "mapboxgl", made(func(r *rand.Rand) string {
			return pick(r, "pk.", "sk.") + base64.RawURLEncoding.EncodeToString([]byte(`{"u":"`+chars(r, 8, lower)+`","a":"cl`+chars(r, 23, lowerNum)+`"}`)) + "." + chars(r, 22, urlSafe)
		})},
		{"openweather", []string{"OPENWEATHER_API_KEY", "OWM_API_KEY"}, []string{"OpenWeather API key"}, "pyowm", form("", 32, hexNum)},
		{"jwt", []string{"ACCESS_TOKEN", "JWT_TOKEN"}, []string{"access token"}, "requests", made(jwt)},
		{"private-key", []string{"SSH_PRIVATE_KEY"}, []string{"private key"}, "paramiko", made(pem)},
		{"postgres-url", []string{"DATABASE_URL"}, []string{"database URL"}, "sqlalchemy", dbURL("postgresql", "db-#.eu-west-1.rds.amazonaws.com:5432", "/analytics")},
		{"postgres-driver-url", []string{"DB_URI"}, []string{"connection URL"}, "sqlalchemy", dbURL("postgresql+psycopg2", "10.20.3.7", "/warehouse?sslmode=require")},
		{"mysql-url", []string{"MYSQL_URL"}, []string{"MySQL URL"}, "sqlalchemy", dbURL("mysql+pymysql", "mysql-#.internal:3306", "/shop?charset=utf8mb4")},
		{"mongodb-url", []string{"MONGO_URI"}, []string{"Mongo URI"}, "pymongo", dbURL("mongodb+srv", "cluster0.#.mongodb.net", "/?retryWrites=true&w=majority")},
		{"redis-url", []string{"REDIS_URL"}, []string{"Redis URL"}, "redis", dbURL("rediss", "redis-#.cache.windows.net:6380", "/0")},
		{"snowflake-url", []string{"SNOWFLAKE_URL"}, []string{"Snowflake URL"}, "sqlalchemy", dbURL("snowflake", "#-xy12345", "/DB/PUBLIC?warehouse=WH&role=ANALYST")},
		{"password-strong", []string{"DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD"}, []string{"password", "DB password"}, "psycopg2", made(strongPassword)},
		{"password-human", []string{"DB_PASSWORD", "PASSWORD", "SMTP_PASSWORD"}, []string{"password", "Password"}, "smtplib", made(humanPassword)},
		{"django-secret", []string{"SECRET_KEY", "FLASK_SECRET_KEY"}, []string{"secret key"}, "flask", form("", 50, lowerNum+"!@#$%^&*(-_=+)")},
	}
}
