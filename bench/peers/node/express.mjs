// The same service as people build it with Express, ajv, mongoose, the AWS SDK and socket.io, after their documentation. Same
// promises where they can be had: calls durable (w: majority, journaled), recordings uploaded or flushed before the answer, one
// call per externalCallId.
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import express from 'express';
import mongoose from 'mongoose';
import { Server } from 'socket.io';

const { MONGODB_URI, DATA_DIR, R2_BUCKET } = process.env;
const recordings = join(DATA_DIR, 'recordings');
mkdirSync(recordings, { recursive: true });

const { Schema } = mongoose;
const writeConcern = { w: 'majority', j: true };

const User = mongoose.model('User', new Schema({
  apiKeyDigest: { type: String, unique: true },
  organizationId: String,
  fullName: String,
}, { writeConcern }));

const Session = mongoose.model('Session', new Schema({ _id: String, organizationId: String }, { writeConcern }));

const contactSchema = new Schema({
  organizationId: { type: String, required: true },
  number: { type: String, required: true },
  name: { type: String, default: 'Unknown Caller' },
  lastCallAt: Date,
}, { timestamps: true, writeConcern });
contactSchema.index({ organizationId: 1, number: 1 }, { unique: true });
contactSchema.index({ organizationId: 1, lastCallAt: -1 });
const Contact = mongoose.model('Contact', contactSchema);

const conversationSchema = new Schema({
  organizationId: { type: String, required: true },
  contactId: { type: Schema.Types.ObjectId, ref: 'Contact', required: true },
  type: { type: String, default: 'call' },
  lastMessageAt: Date,
}, { timestamps: true, writeConcern });
conversationSchema.index({ contactId: 1, type: 1 }, { unique: true });
const Conversation = mongoose.model('Conversation', conversationSchema);

const callSchema = new Schema({
  organizationId: { type: String, required: true },
  userId: { type: Schema.Types.ObjectId, ref: 'User', required: true },
  contactId: { type: Schema.Types.ObjectId, ref: 'Contact', required: true },
  conversationId: { type: Schema.Types.ObjectId, ref: 'Conversation', required: true },
  providerCallId: String,
  direction: { type: String, enum: ['inbound', 'outbound'] },
  status: { type: String, enum: ['completed', 'no-answer', 'busy', 'failed'] },
  from: String,
  to: String,
  duration: Number,
  startTime: Date,
  endTime: Date,
  summary: String,
  agentName: String,
  transcription: [{ _id: false, role: String, message: String, timestamp: Number }],
  recordings: [{ _id: false, recordingId: String, file: String, bytes: Number }],
  metadata: Schema.Types.Mixed,
}, { timestamps: true, writeConcern });
callSchema.index(
  { userId: 1, providerCallId: 1 },
  { unique: true, partialFilterExpression: { providerCallId: { $exists: true } } },
);
callSchema.index({ organizationId: 1, startTime: -1 });
callSchema.index({ organizationId: 1, contactId: 1, startTime: -1 });
callSchema.index({ organizationId: 1, status: 1, startTime: -1 });
const Call = mongoose.model('Call', callSchema);

const messageSchema = new Schema({
  organizationId: String,
  conversationId: { type: Schema.Types.ObjectId, ref: 'Conversation', required: true },
  callId: { type: Schema.Types.ObjectId, ref: 'Call' },
  type: { type: String, default: 'call' },
  content: String,
}, { timestamps: true, writeConcern });
messageSchema.index({ conversationId: 1, createdAt: -1 });
const Message = mongoose.model('Message', messageSchema);

const ajv = new Ajv();
addFormats(ajv);
const phone = { type: 'string', pattern: '^\\+[1-9][0-9]{6,14}$' };
const valid = ajv.compile({
  type: 'object',
  required: ['direction', 'fromNumber', 'toNumber', 'duration', 'status'],
  properties: {
    direction: { enum: ['inbound', 'outbound'] },
    fromNumber: phone,
    toNumber: phone,
    duration: { type: 'number', minimum: 0 },
    status: { enum: ['completed', 'no-answer', 'busy', 'failed'] },
    transcript: {
      type: 'array',
      items: {
        type: 'object',
        required: ['role', 'message'],
        additionalProperties: false,
        properties: {
          role: { enum: ['agent', 'user'] },
          message: { type: 'string' },
          timestamp: { type: 'number' },
        },
      },
    },
    summary: { type: 'string' },
    recording: { type: 'string' },
    externalCallId: { type: 'string' },
    agentName: { type: 'string' },
    callerName: { type: 'string' },
    metadata: { type: 'object' },
    callStartTime: { type: 'string', format: 'date-time' },
  },
  if: { properties: { status: { const: 'completed' } } },
  then: { required: ['transcript', 'summary', 'recording'] },
});

const app = express();
const server = createServer(app);
const io = new Server(server);

io.use(async (socket, next) => {
  const session = await Session.findById(socket.handshake.auth.token).lean();
  if (!session) return next(new Error('unauthorized'));
  socket.join(session.organizationId);
  next();
});

const s3 = R2_BUCKET && new S3Client({
  region: 'auto',
  endpoint: process.env.R2_ENDPOINT_URL,
  credentials: { accessKeyId: process.env.R2_ACCESS_KEY_ID, secretAccessKey: process.env.R2_SECRET_ACCESS_KEY },
  requestChecksumCalculation: 'WHEN_REQUIRED', // as Cloudflare's documentation of R2 has it
  forcePathStyle: true,
  requestHandler: { httpAgent: { maxSockets: 128 } }, // not the fifty that are the default
});

async function contentOf(recording) {
  if (!/^https?:/.test(recording)) return Buffer.from(recording, 'base64');
  const response = await fetch(recording);
  if (!response.ok) throw new Error(`${recording} was answered with ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

async function authenticate(req, res, next) {
  const key = req.get('Authorization')?.match(/^Bearer (.+)$/)?.[1];
  const digest = key && createHash('sha256').update(key).digest('hex');
  req.user = digest && await User.findOne({ apiKeyDigest: digest }).lean();
  if (!req.user) return res.status(401).json({ success: false, error: 'Missing or invalid API key' });
  next();
}

app.post('/api/calls/ingest', authenticate, express.json({ limit: '48mb' }), async (req, res) => {
  const body = req.body;
  if (!valid(body)) {
    return res.status(400).json({ success: false, error: ajv.errorsText(valid.errors) });
  }
  const { organizationId, _id: userId } = req.user;
  const number = body.direction === 'inbound' ? body.fromNumber : body.toNumber;
  const now = new Date();
  const contact = await Contact.findOneAndUpdate(
    { organizationId, number },
    { $set: { lastCallAt: now }, $setOnInsert: { name: body.callerName ?? 'Unknown Caller' } },
    { upsert: true, returnDocument: 'after' },
  ).lean();
  const conversation = await Conversation.findOneAndUpdate(
    { contactId: contact._id, type: 'call' },
    { $set: { lastMessageAt: now }, $setOnInsert: { organizationId } },
    { upsert: true, returnDocument: 'after' },
  ).lean();

  const callId = new mongoose.Types.ObjectId();
  const kept = [];
  if (body.recording) {
    const bytes = await contentOf(body.recording);
    const file = `${callId}.mp3`;
    if (s3) await s3.send(new PutObjectCommand({ Bucket: R2_BUCKET, Key: file, Body: bytes, ContentType: 'audio/mpeg' }));
    else await writeFile(join(recordings, file), bytes, { flush: true });
    kept.push({ recordingId: callId.toString(), file, bytes: bytes.length });
  }
  const startTime = body.callStartTime ? new Date(body.callStartTime) : now;
  const endTime = new Date(startTime.getTime() + body.duration * 1000);
  try {
    await Call.create({
      _id: callId, organizationId, userId, contactId: contact._id, conversationId: conversation._id,
      providerCallId: body.externalCallId, direction: body.direction, status: body.status, from: body.fromNumber,
      to: body.toNumber, duration: body.duration, startTime, endTime, summary: body.summary, agentName: body.agentName,
      transcription: body.transcript ?? [], recordings: kept, metadata: body.metadata,
    });
  } catch (error) {
    if (error.code !== 11000) throw error;
    const stored = await Call.findOne({ userId, providerCallId: body.externalCallId }).lean();
    return res.json({ success: true, deduplicated: true, callId: stored._id });
  }
  await Message.create({
    organizationId, conversationId: conversation._id, callId, content: body.summary ?? '',
  });

  const where = { callId, contactId: contact._id, conversationId: conversation._id };
  const room = io.to(organizationId);
  room.emit('call_initiated', {
    ...where, contactName: contact.name, direction: body.direction, from: body.fromNumber, to: body.toNumber,
    agentName: body.agentName, provider: 'external', startTime,
  });
  room.emit('call_ended', { ...where, status: body.status, duration: body.duration, endTime, summary: body.summary });
  if (kept.length) {
    room.emit('call_recording_ready', { ...where, recordingId: kept[0].recordingId, contentType: 'audio/mpeg' });
  }
  room.emit('fetch_messages', where);
  res.status(201).json({ success: true, callId, contactId: contact._id, conversationId: conversation._id });
});

await mongoose.connect(MONGODB_URI);
await Promise.all([User, Contact, Conversation, Call, Message].map((model) => model.init()));
server.listen(0, '127.0.0.1', 1024, () => console.log(`listening ${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
