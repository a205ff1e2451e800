package detect

import (
	"hash/crc32"
	"regexp"
)

const notWord = `(?:[^0-9A-Za-z_]|$)`

// formatRules are the formats that gitleaks has no rule for, or a narrower one.
func formatRules() []*rule {
	format := func(id, keyword, tail string, hits, misses []string) *rule {
		return &rule{id: id, rank: rankFormat, keywords: []string{keyword}, source: `(` + regexp.QuoteMeta(keyword) + tail + `)` + notWord, anchored: true, hits: hits, misses: misses}
	}
	rules := []*rule{
		format("openai-key", `sk-`, `[A-Za-z0-9_-]{0,90}T3BlbkFJ[A-Za-z0-9_-]{20,90}`,
			[]string{`openai.api_key = "«sk-<A20>T3BlbkFJ<A20>»"`, `key: «sk-proj-<u74>T3BlbkFJ<u73>A»,`}, []string{`sk-...`, `"sk-your-key-here"`}),
		format("llm-key", `sk-`, `(?:or-v1-[0-9a-f]{64}|ant-[a-z0-9]{3,12}-[A-Za-z0-9_-]{80,110}|lf-[0-9a-f-]{36}|[a-z]{0,8}-?[A-Za-z0-9]{32,64})`,
			[]string{`Client("«sk-or-v1-<h64>»")`, `("«sk-ant-api03-<u93>AA»")`, `x = '«sk-<h32>»'`}, []string{`sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, `task-<h32>`, `sk-learn-contrib-decision-trees-example`}),
		format("huggingface-token", `hf_`, `[A-Za-z]{34}`, []string{`login("«hf_<L34>»")`}, []string{`hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`, `hf_hub_download_from_cache`}),
		format("groq-key", `gsk_`, `[A-Za-z0-9]{52}`, []string{`Groq(api_key="«gsk_<A52>»")`}, []string{`gsk_<A20>`}),
		format("nvidia-key", `nvapi-`, `[A-Za-z0-9_-]{60,70}`, []string{`NVIDIA: «nvapi-<u63>A»`}, []string{`nvapi-...`}),
		format("tavily-key", `tvly-`, `(?:dev-|prod-)?[A-Za-z0-9-]{32,60}`, []string{`«tvly-dev-<A32>»`}, []string{`tvly-YOUR_API_KEY`}),
		format("replicate-token", `r8_`, `[A-Za-z0-9]{37}`, []string{`«r8_<A37>»`}, []string{`r8_<A5>`}),
		format("pinecone-key", `pcsk_`, `[A-Za-z0-9_]{50,80}`, []string{`«pcsk_<A5>_<A63>»`}, []string{`pcsk_test`}),
		format("langsmith-key", `lsv2_`, `(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}`, []string{`«lsv2_pt_<h32>_<h10>»`}, []string{`lsv2_pt_...`}),
		format("perplexity-key", `pplx-`, `[A-Za-z0-9]{48}`, []string{`"«pplx-<A48>»"`}, []string{`pplx-70b-online`}),
		format("xai-key", `xai-`, `[A-Za-z0-9]{70,90}`, []string{`«xai-<A80>»`}, []string{`xai-grok-2-latest`}),
		format("elevenlabs-key", `sk_`, `[0-9a-f]{48}`, []string{`«sk_<h48>»`}, []string{`sk_learn`}),
		format("wandb-key", `wandb_v1_`, `[A-Za-z0-9_]{60,100}`, []string{`wandb.login(key="«wandb_v1_<A77>»")`}, []string{`wandb_v1_key`}),
		format("databricks-token", `dapi`, `[0-9a-f]{32}(?:-[0-9])?`, []string{`token = '«dapi<h32>-2»'`}, []string{`dapi_client_version`}),
		format("stripe-key", `sk_live_`, `[A-Za-z0-9]{20,248}`, []string{`stripe.api_key = "«sk_live_<A99>»"`}, []string{`sk_live_...`}),
		format("stripe-key", `rk_live_`, `[A-Za-z0-9]{20,248}`, []string{`"«rk_live_<A24>»"`}, []string{`rk_live_xxx`}),
		format("stripe-key", `sk_test_`, `[A-Za-z0-9]{20,248}`, []string{`"«sk_test_<A24>»"`}, []string{`"sk_test_4eC39HqLyjWDarjtT1zdp7dc"`}),
		format("sendgrid-key", `SG.`, `[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}`, []string{`«SG.<A22>.<A43>»`}, []string{`SG.xyz`}),
		format("pypi-token", `pypi-`, `[A-Za-z0-9_-]{70,300}`, []string{`«pypi-AgEIcHlwaS5vcmc<A150>»`}, []string{`pypi-server`}),
		format("google-api-key", `AIza`, `[A-Za-z0-9_-]{35}`, []string{`genai.configure(api_key="«AIza<A35>»")`, `?key=«AIza<A35>»&q=x`}, []string{`AIzaSy...`}),
		format("google-client-secret", `GOCSPX-`, `[A-Za-z0-9_-]{28}`, []string{`«GOCSPX-<A28>»`}, []string{`GOCSPX-...`}),
		format("google-oauth-token", `ya29.`, `[A-Za-z0-9_.-]{50,}`, []string{`«ya29.<A120>»`}, []string{`ya29.`}),
		format("google-refresh-token", `1//0`, `[A-Za-z0-9_-]{60,120}`, []string{`"«1//0<A80>»"`}, []string{`1//0`}),
		format("gitlab-token", `glpat-`, `[A-Za-z0-9_-]{20,300}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7})?`, []string{`«glpat-<A20>»`}, []string{`glpat-xxxx`}),
		format("docker-token", `dckr_pat_`, `[A-Za-z0-9_-]{27}`, []string{`docker login -p «dckr_pat_<A27>»`}, []string{`dckr_pat_`}),
		format("notion-token", `ntn_`, `[0-9]{11}[A-Za-z0-9]{35}`, []string{`«ntn_<d11><A35>»`}, []string{`ntn_abc`}),
		format("kaggle-token", `KGAT_`, `[0-9A-Za-z]{32,64}`, []string{`«KGAT_<h32>»`}, []string{`KGAT_`}),
		format("digitalocean-token", `dop_v1_`, `[0-9a-f]{64}`, []string{`«dop_v1_<h64>»`}, []string{`dop_v1_`}),
		format("newrelic-key", `NRAK-`, `[A-Z0-9]{27}`, []string{`«NRAK-<U27>»`}, []string{`NRAK-`}),
		format("mailgun-key", `key-`, `[0-9a-f]{32}`, []string{`auth=("api", "«key-<h32>»")`}, []string{`key-value-store`}),
		format("shopify-token", `shp`, `(?:at|ss|ca|pa)_[0-9a-fA-F]{32}`, []string{`«shpat_<h32>»`}, []string{`shpat_`}),
		format("slack-token", `xox`, `[abeoprs](?:\.xox[a-z])?-[0-9A-Za-z-]{20,250}`, []string{`«xoxb-<d12>-<d13>-<A24>»`}, []string{`xoxb-your-token`}),
		format("slack-app-token", `xapp-`, `[0-9]-[A-Z0-9]{8,14}-[0-9]{10,16}-[a-f0-9]{60,70}`, []string{`«xapp-1-<U11>-<d13>-<h64>»`}, []string{`xapp-1-...`}),
		format("github-fine-grained-token", `github_pat_`, `[0-9A-Za-z]{22}_[0-9A-Za-z]{59}`, []string{`«github_pat_<A22>_<A59>»`}, []string{`github_pat_xxx`}),
		format("mapbox-token", `sk.eyJ`, `[A-Za-z0-9_-]{50,110}\.[A-Za-z0-9_-]{20,24}`, []string{`«sk.eyJ<A80>.<A22>»`}, []string{`sk.eyJ`}),
		format("mapbox-token", `pk.eyJ`, `[A-Za-z0-9_-]{50,110}\.[A-Za-z0-9_-]{20,24}`, []string{`px.set_mapbox_access_token("«pk.eyJ<A80>.<A22>»")`}, []string{`pk.eyJ`}),
	}
	for _, p := range []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"} {
		r := format("github-token", p, `[0-9A-Za-z]{36}`, []string{`"«` + p + `<C36>»"`}, []string{`"` + p + `<Z36>"`, p + `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`})
		r.check = checked
		rules = append(rules, r)
	}
	for _, v := range []*rule{
		format("vault-token", "hvs.", `[A-Za-z0-9_-]{90,120}`, []string{`X-Vault-Token: «hvs.<A95>»`}, []string{`hvs.x`}),
		format("vault-token", "s.", `[A-Za-z0-9]{24}`, []string{`VAULT_TOKEN=«s.<A12>7a3<A9>»`}, []string{`s.<L24>`, `this.<A24>`}),
	} {
		v.check = random
		rules = append(rules, v)
	}
	npm := format("npm-token", "npm_", `[0-9A-Za-z]{36}`, []string{`"«npm_<C36>»"`}, []string{`"npm_<Z36>"`, `npm_config_registry_and_other_settings`})
	npm.check = checked
	jwt := format("jwt", "eyJ", `[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1000}`,
		[]string{`Bearer «eyJ<A33>.eyJ<A60>.<A43>»`}, []string{`eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.x`})
	jwt.source = `(eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{20,})`
	return append(rules, npm, jwt)
}

// checked reports whether the last six characters of a token of GitHub's or
// npm's are, in base 62, the CRC-32 of what is between them and the prefix.
func checked(token []byte) bool {
	body, sum := token[4:len(token)-6], token[len(token)-6:]
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	n := crc32.ChecksumIEEE(body)
	for i := len(sum) - 1; i >= 0; i-- {
		if sum[i] != digits[n%62] {
			return false
		}
		n /= 62
	}
	return true
}
